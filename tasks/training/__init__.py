"""The stages from file to evaluation."""
