"""The subcommands of `lstm-text`, one file each: its settings, which are its flags and its help, and what it runs."""
