"""Python that is read in several threads at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from scorebench.grading.code.python_text import parse
from scorebench.grading.code.test_parser import read_tests

PROGRAM = "def f(x):\n    return [((x + 1) * 2, {x: [x, -x]}) for x in range(x) if x % 2]\n" * 20


@pytest.fixture
def _collector_runs_python() -> Iterator[None]:
    """The garbage collector runs often, and runs Python code: other threads then go on in the middle of a parse."""

    def called(phase: str, info: dict[str, int]) -> None:
        sum(range(50))

    before = gc.get_threshold()
    gc.set_threshold(100)
    gc.callbacks.append(called)
    yield
    gc.callbacks.remove(called)
    gc.set_threshold(*before)


def parsed(depth: int) -> None:
    """Parses at this depth of the thread's stack, as each thread has another one."""
    if depth:
        parsed(depth - 1)
        return
    for _ in range(60):
        assert parse(PROGRAM) is not None
        assert read_tests(["assert f(1) == [((1 + 1) * 2, {1: [1, -1]})]"], PROGRAM, "f").check is False


@pytest.mark.usefixtures("_collector_runs_python")
def test_threads_that_parse_at_once_are_not_in_each_others_way() -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(parsed, [0, 7, 14, 21]))  # without the lock: "AST constructor recursion depth mismatch"
