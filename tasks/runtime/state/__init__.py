"""Where run state is, and the environment variables and databases that lead there."""
