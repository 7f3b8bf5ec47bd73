"""Runs stages in a second thread while the flow goes on in the first: what is fitted there uses the second core."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from typing import Any


def in_background(call: Callable[..., Any], *args: Any, after: Future[Any] | None = None, **kwargs: Any) -> Future[Any]:
    """Start call(*args, **kwargs) in a thread, after an earlier one is done; return its future.

    The thread has the caller's context, so that Prefect and MLflow record in the same run. It ends with the process: a
    run that fails or is interrupted does not wait for it.
    """
    future: Future[Any] = Future()
    context = copy_context()

    def run() -> None:
        try:
            if after is not None:
                after.exception()  # Waits.
            future.set_result(context.run(call, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001  whoever needs the result gets it
            future.set_exception(error)

    threading.Thread(target=run, name=call.__name__, daemon=True).start()
    return future
