"""One file per stage: a library call plus its side effect. Prefect, MLflow and Great Expectations live here."""
