-- One database for each server, so that you can migrate, back up and restore them separately.
CREATE DATABASE mlflow;
CREATE DATABASE prefect;
