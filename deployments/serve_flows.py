"""The deployments of prefect.yaml without a work pool and a worker: one process that runs what is due.

    python deployments/serve_flows.py [--limit 2] [--take-over]

From the root of a checkout, with a Prefect server running (`make ui` starts one). Ctrl-C ends it; what came due in the
meantime gives one run per schedule when it is started again.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from lstm_model.errors import LstmTextError, ModelError  # noqa: E402
from tasks.runtime.state.local_state import use_local_state  # noqa: E402

DEFAULT_API = "http://127.0.0.1:4200/api"


def main(arguments: list[str]) -> int:
    """Serve until interrupted and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=2, help="runs at the same time, of all flows together (default 2)")
    parser.add_argument("--take-over", action="store_true", help="take deployments of these names from their work pool")
    given = parser.parse_args(arguments)
    os.chdir(PROJECT)  # Paths in prefect.yaml start here.
    os.environ.setdefault("PREFECT_API_URL", DEFAULT_API)
    use_local_state()
    from prefect import serve

    try:
        deployments = [deployment(entry) for entry in entries()]
        require_server()
        release((f"{served.flow_name}/{served.name}" for served in deployments), take_over=given.take_over)
        # Not paused when it ends: a schedule that sleeps with its process forgets what it missed.
        serve(*deployments, limit=given.limit, pause_on_shutdown=False)
    except LstmTextError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def entries() -> list[dict[str, Any]]:
    """Return what prefect.yaml says about each deployment."""
    found: list[dict[str, Any]] = yaml.safe_load((PROJECT / "deployments/prefect.yaml").read_text("utf-8"))[
        "deployments"
    ]
    return found


def deployment(entry: dict[str, Any]) -> Any:
    """Return an entry of prefect.yaml as a deployment that `serve` takes."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.events import DeploymentEventTrigger
    from prefect.flows import load_flow_from_entrypoint
    from prefect.schedules import Schedule

    return load_flow_from_entrypoint(entry["entrypoint"]).to_deployment(
        name=entry["name"],
        description=entry["description"],
        parameters=entry["parameters"],
        tags=entry["tags"],
        schedules=[Schedule(**schedule) for schedule in entry.get("schedules", [])],
        triggers=[DeploymentEventTrigger(**trigger) for trigger in entry.get("triggers", [])],
        concurrency_limit=ConcurrencyLimitConfig(**entry["concurrency_limit"]),
    )


def require_server() -> None:
    """Raise ModelError where no Prefect server answers."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        trouble = client.api_healthcheck()
    if trouble is not None:
        raise ModelError(
            expected=f"a Prefect server at {os.environ['PREFECT_API_URL']} (PREFECT_API_URL)",
            found=f"{type(trouble).__name__}: {trouble}",
            remedy="make ui starts one.",
        )


def release(names: Iterable[str], *, take_over: bool) -> None:
    """Remove deployments of these names that a work pool has, their automations too; or raise ModelError."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        for name in names:
            try:
                found = client.read_deployment_by_name(name)
            except ObjectNotFound:
                continue
            if found.work_pool_name is None:
                continue
            if not take_over:
                raise ModelError(
                    expected=f"{name} to be nobody else's",
                    found=f"that it was deployed to the work pool {found.work_pool_name}, whose workers run it",
                    remedy="Start a worker instead, or add --take-over.",
                )
            client.delete_resource_owned_automations(f"prefect.deployment.{found.id}")
            client.delete_deployment(found.id)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
