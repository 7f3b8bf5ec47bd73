"""Where run state is: the environment variables and databases of its folder."""
