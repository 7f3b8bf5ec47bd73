"""What a training imports. tests/forked.py starts a process that has done so."""

# ruff: noqa: F401
import great_expectations
import keras
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store

import flows.cli
import flows.commands.train
import flows.training
import lstm_model.network.training
import tasks.training.expectations
