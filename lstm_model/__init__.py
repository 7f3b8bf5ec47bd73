"""LSTM text classification as a pure library: data in, data out.

Nothing here imports Prefect, MLflow or Great Expectations; only `network`, `training` and `export` load TensorFlow.
"""
