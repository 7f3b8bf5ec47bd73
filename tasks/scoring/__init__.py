"""Texts answered by a registered model: a file, or the command line."""
