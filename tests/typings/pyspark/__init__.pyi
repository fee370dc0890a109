# See sql/__init__.pyi.
