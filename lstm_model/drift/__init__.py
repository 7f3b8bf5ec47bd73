"""Compares new texts with those that a version was evaluated on."""
