"""The deployments of prefect.yaml without a work pool and a worker: one process that runs what is due.

    python deployments/serve_flows.py [--limit 2]

From the root of a checkout, with a Prefect server running (`make ui` starts one). Ctrl-C ends it; what came due in the
meantime gives one run per schedule when it is started again.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from lstm_model.errors import LstmTextError, ModelError  # noqa: E402
from tasks.local_state import use_local_state  # noqa: E402

DEFAULT_API = "http://127.0.0.1:4200/api"


def main(arguments: list[str]) -> int:
    """Serve until interrupted and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=2, help="runs at the same time, of all flows together (default 2)")
    limit = parser.parse_args(arguments).limit
    os.chdir(PROJECT)  # Paths in prefect.yaml start here.
    os.environ.setdefault("PREFECT_API_URL", DEFAULT_API)
    use_local_state()
    from prefect import serve

    try:
        deployments = [deployment(given) for given in entries()]
        require_server(f"{served.flow_name}/{served.name}" for served in deployments)
        # Not paused when it ends: a schedule that sleeps with its process forgets what it missed.
        serve(*deployments, limit=limit, pause_on_shutdown=False)
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


def deployment(given: dict[str, Any]) -> Any:
    """Return an entry of prefect.yaml as a deployment that `serve` takes."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig
    from prefect.events import DeploymentEventTrigger
    from prefect.flows import load_flow_from_entrypoint
    from prefect.schedules import Schedule

    return load_flow_from_entrypoint(given["entrypoint"]).to_deployment(
        name=given["name"],
        description=given["description"],
        parameters=given["parameters"],
        tags=given["tags"],
        schedules=[Schedule(**schedule) for schedule in given.get("schedules", [])],
        triggers=[DeploymentEventTrigger(**trigger) for trigger in given.get("triggers", [])],
        concurrency_limit=ConcurrencyLimitConfig(**given["concurrency_limit"]),
    )


def require_server(names: Iterable[str]) -> None:
    """Raise ModelError where no Prefect server answers, or where it leaves deployments of these names to workers."""
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        trouble = client.api_healthcheck()
        if trouble is not None:
            raise ModelError(
                expected=f"a Prefect server at {os.environ['PREFECT_API_URL']} (PREFECT_API_URL)",
                found=f"{type(trouble).__name__}: {trouble}",
                remedy="make ui starts one.",
            )
        for name in names:
            with suppress(ObjectNotFound):
                pool = client.read_deployment_by_name(name).work_pool_name
                if pool is not None:
                    raise ModelError(
                        expected=f"{name} to be nobody else's",
                        found=f"that it was deployed to the work pool {pool}, whose workers run it",
                        remedy=f"Start a worker instead, or first: prefect deployment delete {name}",
                    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
