"""A search for settings: its study, its trials, the best configuration."""
