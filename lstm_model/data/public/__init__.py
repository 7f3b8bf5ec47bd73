"""Public data sets: where their files are, and how each is read."""
