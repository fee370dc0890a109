"""Custom jobs instead of a pattern: what they are, what they are fed, and how their output is judged."""
