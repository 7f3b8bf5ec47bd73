"""Registered versions: found, downloaded, checked for damage, and the code that serves them."""
