"""Shared by tests that run whole flows."""

from collections.abc import Iterator

import pytest

from tasks.promotion import check_servable
from tasks.promotion.check_servable import Servability

SERVED_REALLY = check_servable.find_servability


@pytest.fixture(scope="module")
def gate_without_server() -> Iterator[None]:
    """Have the gate take every version for servable: its server takes 2 s, a third of each small training.

    Not for tests of servability: tests/tasks/test_servability.py, the first of test_promotion_flow.py and all that
    start the command have the real one.
    """
    with pytest.MonkeyPatch.context() as patched:
        found = Servability(asked=3, cold_start_seconds=1.0, p95_milliseconds=1.0)
        patched.setattr(check_servable, "find_servability", lambda *_: found)
        yield
