"""What a person reads: HTML pages, the model card, plots."""
