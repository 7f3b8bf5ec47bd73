"""Files as rows: unpacked, decoded, and read by their true format."""
