"""What a training and the `prefect` command import. tests/forked.py starts a process that has done so."""

# ruff: noqa: F401
import gc

import great_expectations
import keras
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
import prefect.cli

import flows.cli
import flows.commands.train
import flows.training
import lstm_model.network.training
import tasks.training.expectations

gc.freeze()  # A forked process would copy what its garbage collection looks at.
