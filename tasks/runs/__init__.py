"""The MLflow runs of trainings: open, find, read, reproduce and remove them."""
