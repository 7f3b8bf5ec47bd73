"""The configuration: one file per section, and the tree of all of them in pipeline.py."""
