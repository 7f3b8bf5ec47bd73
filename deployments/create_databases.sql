-- One database for each server, so that each migrates, is backed up and is restored on its own.
CREATE DATABASE mlflow;
CREATE DATABASE prefect;
