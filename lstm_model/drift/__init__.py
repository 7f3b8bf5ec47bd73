"""Whether new texts are like those that a version was evaluated on."""
