"""The search for better settings: its study, its trials, its best configuration."""
