"""Jobs of the user's own in place of a pattern: what they are, what they are fed, and how their output is judged."""
