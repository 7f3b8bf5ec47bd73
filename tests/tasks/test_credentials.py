"""Passwords in the addresses of servers go where MLflow and Prefect read them, and nothing repeats them."""

import os

import pytest

from tasks.runtime.state.credentials import move_credentials, without_credentials

NAMES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD",
         "MLFLOW_UI_URL", "PREFECT_API_URL", "PREFECT_UI_URL", "PREFECT_API_AUTH_STRING")  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"MLFLOW_TRACKING_URI": "https://me:p%40ss%2F1@host:5000/base"},
            {"MLFLOW_TRACKING_URI": "https://host:5000/base", "MLFLOW_TRACKING_USERNAME": "me",
             "MLFLOW_TRACKING_PASSWORD": "p@ss/1"},
        ),
        (
            {"MLFLOW_TRACKING_URI": "http://me:p@ss:w@host", "MLFLOW_TRACKING_USERNAME": "other"},
            {"MLFLOW_TRACKING_URI": "http://host", "MLFLOW_TRACKING_USERNAME": "me",
             "MLFLOW_TRACKING_PASSWORD": "p@ss:w"},
        ),
        (
            {"PREFECT_API_URL": "https://me:pass@host/api", "PREFECT_UI_URL": "https://me:pass@host"},
            {"PREFECT_API_URL": "https://host/api", "PREFECT_UI_URL": "https://host",
             "PREFECT_API_AUTH_STRING": "me:pass"},
        ),
        ({"MLFLOW_UI_URL": "https://me:pass@host"}, {"MLFLOW_UI_URL": "https://host"}),
        ({"MLFLOW_TRACKING_URI": "http://token@host"}, {"MLFLOW_TRACKING_URI": "http://host"}),
        (
            {"MLFLOW_TRACKING_URI": "http://host", "MLFLOW_TRACKING_USERNAME": "me"},
            {"MLFLOW_TRACKING_URI": "http://host", "MLFLOW_TRACKING_USERNAME": "me"},
        ),
        ({"MLFLOW_TRACKING_URI": "postgresql://me:pass@host/db"}, {"MLFLOW_TRACKING_URI": "postgresql://me:pass@host/db"}),
        ({"MLFLOW_TRACKING_URI": "sqlite:////a@b.db"}, {"MLFLOW_TRACKING_URI": "sqlite:////a@b.db"}),
        ({"MLFLOW_TRACKING_URI": "http://["}, {"MLFLOW_TRACKING_URI": "http://["}),
    ],
)  # fmt: skip
def test_user_and_password_get_variables_of_their_own(
    given: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # So that what the product sets is undone, too.
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    for _ in range(2):  # The second time there is nothing to move.
        move_credentials()
        assert {name: os.environ[name] for name in NAMES if name in os.environ} == expected


def test_an_address_with_a_password_is_shown_without() -> None:
    assert without_credentials("https://me:pass@host:1/path?query#/part") == "https://host:1/path?query#/part"
    assert without_credentials("models:/me@champion") == "models:/me@champion"
