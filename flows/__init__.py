"""The flows, and `cli.py`, the `lstm-text` command. They only compose tasks."""
