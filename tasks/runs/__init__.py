"""An MLflow run: opened, found again, read back, reproduced, cleaned."""
