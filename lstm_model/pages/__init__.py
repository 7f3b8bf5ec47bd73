"""HTML pages, the model card and plots."""
