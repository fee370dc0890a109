"""Experiments: from a request to results on disk. Knows engines and platforms, and no view of itself."""
