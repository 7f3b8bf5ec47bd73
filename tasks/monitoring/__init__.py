"""New texts and later labels compared with what a version was evaluated on."""
