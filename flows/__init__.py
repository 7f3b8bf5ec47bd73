"""Composition only: the flows, and `cli.py`, the `lstm-text` command."""
