"""Run the deployments of prefect.yaml in one process, without a work pool and a worker.

    python deployments/serve_flows.py [--limit 2] [--take-over]

Needs a running Prefect server (`make ui` starts one). Ctrl-C stops this process. When you start it again, each schedule
makes up for all missed times with one run.
"""

import argparse
import os
import sys
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
    parser.add_argument("--limit", type=int, default=2, help="maximum number of runs at the same time (default 2)")
    parser.add_argument("--take-over", action="store_true", help="replace deployments with these names in work pools")
    given = parser.parse_args(arguments)
    os.chdir(PROJECT)  # Paths in prefect.yaml are relative to it.
    os.environ.setdefault("PREFECT_API_URL", DEFAULT_API)
    use_local_state()
    from prefect import serve

    entries = yaml.safe_load((PROJECT / "deployments/prefect.yaml").read_text("utf-8"))["deployments"]
    try:
        deployments = [deployment(entry) for entry in entries]
        release([f"{served.flow_name}/{served.name}" for served in deployments], take_over=given.take_over)
        # Schedules stay active after the end, because a paused schedule forgets the times that it missed.
        serve(*deployments, limit=given.limit, pause_on_shutdown=False)
    except LstmTextError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def deployment(entry: dict[str, Any]) -> Any:
    """Return an entry of prefect.yaml as a deployment for `serve`."""
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


def release(names: list[str], *, take_over: bool) -> None:
    """Delete deployments with these names that are in a work pool, and their automations.

    Raises ModelError if there are any and take_over is false, or if no Prefect server answers.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client:
        if trouble := client.api_healthcheck():
            raise ModelError(
                f"No Prefect server answers at {os.environ['PREFECT_API_URL']} (PREFECT_API_URL): "
                f"{type(trouble).__name__}: {trouble}.",
                "Start one with make ui.",
            )
        for name in names:
            try:
                found = client.read_deployment_by_name(name)
            except ObjectNotFound:
                continue
            if found.work_pool_name is None:
                continue
            if not take_over:
                raise ModelError(
                    f"{name} is deployed to the work pool {found.work_pool_name}, whose workers run it.",
                    "Start a worker instead, or add --take-over.",
                )
            client.delete_resource_owned_automations(f"prefect.deployment.{found.id}")
            client.delete_deployment(found.id)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
