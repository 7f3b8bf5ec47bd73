"""From a file to rows: reading, what a row must be, splitting."""
