"""Public data sets are downloaded and converted."""
