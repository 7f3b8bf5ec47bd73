"""Create the database of Prefect's server, then run a module as `python -m` does: uvicorn ..., prefect server start.

One process does both: importing Prefect takes seconds.
"""

import asyncio
import gc
import runpy
import sys
from pathlib import Path

from tasks.runtime.garbage import search_less_often
from tasks.runtime.state.sqlite_files import make_whole


def prepare_prefect_database() -> None:
    """Create the SQLite file that a server in this process would open; do nothing for another kind of database."""
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    url = PREFECT_API_DATABASE_CONNECTION_URL.value() or ""
    if url.startswith("sqlite") and ":memory:" not in url and "mode=memory" not in url:
        make_whole(Path(url.partition(":///")[2].partition("?")[0]), make)


def make(path: Path) -> None:
    """Create a database with Prefect's tables, as its server does."""
    # Each of a hundred migrations describes all tables again: garbage collection would take a fifth of the time.
    gc.disable()
    asyncio.run(_make(path))
    gc.enable()


async def _make(path: Path) -> None:
    from prefect.server.database.configurations import AioSqliteConfiguration
    from prefect.server.database.dependencies import provide_database_interface, temporary_database_config

    with temporary_database_config(AioSqliteConfiguration(f"sqlite+aiosqlite:///{path}")):
        database = provide_database_interface()
        await database.create_db()
        await (await database.engine()).dispose()


if __name__ == "__main__":
    search_less_often()
    prepare_prefect_database()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
