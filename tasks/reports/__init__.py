"""What a person reads of a run: the report, and two runs side by side."""
