"""Score a file, or texts from the command line, with a registered model."""
