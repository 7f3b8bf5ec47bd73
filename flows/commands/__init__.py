"""The subcommands of `lstm-text`, a file each: its settings, which are its flags, and what it runs."""
