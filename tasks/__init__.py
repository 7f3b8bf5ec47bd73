"""A library call plus its side effect: Prefect, MLflow and Great Expectations live here. Folders follow the journey."""
