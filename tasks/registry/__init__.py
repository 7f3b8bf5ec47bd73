"""Registered versions: finding, downloading and checking them, and the code that serves them."""
