"""A stage in the background: its result or error, its order and its context."""

import threading
from contextvars import ContextVar

import pytest

from tasks.runtime.background import in_background

RUN: ContextVar[str] = ContextVar("run")


def test_it_returns_a_result_made_in_another_thread_with_the_callers_context() -> None:
    RUN.set("mine")
    found = in_background(lambda *words, end: (*words, end, RUN.get(), threading.get_ident()), "a", end="z").result(10)
    assert found[:3] == ("a", "z", "mine") and found[3] != threading.get_ident()


def test_an_error_reaches_whoever_needs_the_result() -> None:
    def fails() -> None:
        raise ValueError("no rows")

    with pytest.raises(ValueError, match="no rows"):
        in_background(fails).result(10)


def test_one_starts_after_the_other_even_if_that_fails() -> None:
    done: list[str] = []
    wait = threading.Event()

    def first() -> None:
        wait.wait(10)
        done.append("first")
        raise ValueError

    one = in_background(first)
    two = in_background(lambda: done.append("second"), after=one)
    wait.set()
    two.result(10)
    assert done == ["first", "second"]
