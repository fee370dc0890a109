"""Where engines run, and what this machine can give them."""
