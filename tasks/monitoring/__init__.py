"""Compare new texts and later labels with the rows that a version was evaluated on."""
