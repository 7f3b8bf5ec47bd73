"""Servers of registered models, and the pages of MLflow and Prefect."""
