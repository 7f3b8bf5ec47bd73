"""Servers of registered models, and of the MLflow and Prefect pages."""
