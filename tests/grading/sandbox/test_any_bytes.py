"""Whatever a candidate writes to its line and however it ends, its verdict is a pass or a fail, within the limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scorebench.grading.code.grader import grade
from scorebench.grading.sandbox import pool
from scorebench.grading.sandbox.codec import encode
from scorebench.grading.sandbox.linux import Limits
from tests.grading.sandbox.test_codec import VALUES

LIMITS = Limits(cpu_seconds=2, idle_seconds=0.3, wall_seconds=60)
TESTS = """
class Own:
    value = 1

def check(candidate):
    try:
        assert candidate([1, [2]]) == 10
    except (ValueError, KeyError, OSError, UnicodeError) as error:
        assert str(error) != repr(error.args)
    candidate(lambda x: x + 1, key=iter([1]), own=Own())
    for item in candidate(3):
        assert item != [item]
    assert abs(candidate(0.5) - 1.25) < 1e-6
"""

# A program that writes each of the texts to each open descriptor at a call, and ends in a way of its own.
PROGRAM = """
import os, signal, sys, time
TEXTS, ENDING = {texts!r}, {ending!r}
calls = iter(TEXTS)

def write(text):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, text)
        except OSError:
            continue

def solution(*arguments, **keywords):
    for text in next(calls, ()):
        write(text)
    what, number = ENDING
    if what == "exit":
        os._exit(number)
    if what == "signal":
        os.kill(os.getpid(), number)
    if what == "raise":
        kinds = [ValueError, KeyError, OSError, SystemExit, KeyboardInterrupt, StopIteration, MemoryError]
        raise kinds[number % 7](10**number)
    if what == "close":
        os.closerange(3, 64)
    if what == "sleep":
        time.sleep(60)
    if what == "spin":
        while True: pass
    return 10
"""


class Reference:
    """Written as a reference to something: anything at all."""

    def __init__(self, means: Any) -> None:
        self.means = means


NAMES = st.sampled_from(
    ["", "ValueError", "UnicodeDecodeError", "OSError", "E", "\0", "x" * 200, "builtins", "os", "json"]
)
NUMBERS = st.sampled_from([0, 1, 2, -1, 2**31, 10**30]) | st.integers()
ANCESTORS = st.lists(st.tuples(NAMES, NAMES, NUMBERS) | st.none(), max_size=4)
KINDS = st.sampled_from(["exception class", "class", "object", "coroutine", "generator", "function", ""])
REFERENCES = st.one_of(
    st.tuples(st.sampled_from(["program", "test"]), NUMBERS | NAMES),
    st.tuples(st.just("program"), NUMBERS, KINDS, NAMES | ANCESTORS),
    VALUES,
).map(Reference)
ANYTHING = VALUES | REFERENCES | st.lists(REFERENCES | VALUES, max_size=3)
OPERATIONS = st.sampled_from(["call", "take", "getattr", "setattr", "iter", "len", "getitem", "bool", "", "__class__"])
ANSWERS = st.one_of(
    st.tuples(st.just("value"), ANYTHING, st.none() | st.lists(st.tuples(NUMBERS, ANYTHING), max_size=3) | VALUES),
    st.tuples(
        st.just("raised"), ANCESTORS, st.text(max_size=20), st.lists(ANYTHING, max_size=2), st.none() | REFERENCES
    ),
    st.tuples(
        st.just("ask"), OPERATIONS, NUMBERS | NAMES, st.lists(ANYTHING, max_size=2), st.dictionaries(NAMES, ANYTHING)
    ),
    ANYTHING,
).map(lambda answer: encode(answer, lambda value: value.means))
FRAMES = (ANSWERS | st.binary(max_size=40)).map(lambda message: len(message).to_bytes(4, "little") + message)
BROKEN = st.builds(
    lambda frame, at, byte: frame[:at] + bytes([byte]) + frame[at + 1 :],
    FRAMES,
    st.integers(0, 30),
    st.integers(0, 255),
)
TEXTS = st.lists(st.lists(FRAMES | BROKEN | st.binary(max_size=20), max_size=2), max_size=5)
ENDINGS = st.one_of(
    st.just(("return", 0)),
    st.just(("return", 0)),
    st.tuples(st.just("exit"), st.integers(0, 255)),
    st.tuples(st.just("signal"), st.integers(1, 64)),
    st.tuples(st.just("raise"), st.integers(0, 6000)),
    st.just(("close", 0)),
    st.just(("sleep", 0)),
)


@pytest.fixture(scope="module", autouse=True)
def one_slot() -> Iterator[None]:
    pool.configure(1)
    yield
    pool.configure()


def never_an_error(texts: list[list[bytes]], ending: tuple[str, int]) -> None:
    program = PROGRAM.format(texts=texts, ending=ending)
    verdict = grade(program, TESTS, entry_point="solution", limits=LIMITS)
    assert verdict.outcome in ("pass", "fail"), verdict.detail
    assert verdict.rule != pool.GRADERS_LOST, verdict.detail  # the rule behind all others should not be needed
    assert verdict.detail.isprintable()
    assert len(verdict.detail) <= 600


quick = settings(max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
long = settings(quick, max_examples=2_000)


@quick
@given(TEXTS, ENDINGS)
def test_any_bytes_and_any_end(texts: list[list[bytes]], ending: tuple[str, int]):
    never_an_error(texts, ending)


@pytest.mark.slow
@long
@given(TEXTS, ENDINGS | st.just(("spin", 0)))
def test_many_more_bytes_and_ends(texts: list[list[bytes]], ending: tuple[str, int]):
    never_an_error(texts, ending)
