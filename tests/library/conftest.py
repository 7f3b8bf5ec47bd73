"""Set-up of the library tests: properties try the same examples every time and are never failed by a slow machine."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("library", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("library")


@pytest.fixture
def quick() -> Iterator[None]:
    """A file that makes the reader wait or loop fails its test."""
    from tests.hostile import time_limit

    with time_limit(60):
        yield
