r"""Verdicts on answers of MATH: whether the answer that a reply states is the reference.

The order, from cheap to dear: the same text; what compare.py decides without algebra; Math-Verify, in a worker process
with a limit of processor time. docs/metrics.md says how replies are read, compare.py which rules there are.

Whatever an answer can bring about is a fail: too long or too deep ("over-limit"), too slow ("too-slow"), the death of
the worker ("kills-worker"). It is an error only if a pair that is known to be right fails at that moment too.
"""

from __future__ import annotations

import functools
import logging
import os
import threading

from scorebench.api.types import Reading, Verdict
from scorebench.grading.math.compare import compare
from scorebench.grading.math.extract import find_answer
from scorebench.grading.math.limits import MAX_LENGTH, over_limit
from scorebench.grading.math.normalise import normalise
from scorebench.grading.math.values import Decision
from scorebench.grading.math.worker_pool import PoolError, TooSlow, WorkerPool

log = logging.getLogger(__name__)

# Processor seconds that a worker may compute on one pair; most take a hundredth. What takes longer gets one longer try.
SECONDS = 2.0
LONGER_SECONDS = 6.0
CONTROL = (r"\frac{x^2-1}{x-1}", "x+1")


def grade(reply: str, reference: str, reading: Reading = "loose") -> Verdict:
    """The verdict of a whole reply, on the answer that it states. Thread-safe; may wait for a worker.

    reading: "strict" takes an answer only in the form that the prompt asks for, or in a box.

    The rule names what found the answer and what decided, as in "boxed, same-text". A reply without an answer fails.
    """
    found = find_answer(reply)
    if found is None or (reading == "strict" and found.reading != "stated"):
        return Verdict("fail", None, "no-answer", "the reply states no final answer", reading="none")
    verdict = same_answer(reference, found.answer)
    rule = f"{found.rule}, {verdict.rule}"
    return Verdict(verdict.outcome, verdict.answer, rule, verdict.detail, reading=found.reading)


def same_answer(reference: str, answer: str) -> Verdict:
    """Whether two bare answers are the same; the first one is the reference. Thread-safe; may wait for a worker.

    The rule is one of compare.py and equivalence.py, or "empty", "over-limit", "too-slow", "kills-worker",
    "unreadable"; of an error "reference" or "worker".
    """
    if not reference.strip():
        return Verdict("error", answer, "reference", "the reference is empty")
    if reference.strip() == answer.strip():
        return Verdict("pass", answer, "same-text")
    if len(reference) > MAX_LENGTH:
        return Verdict("error", answer, "reference", f"the reference is longer than {MAX_LENGTH} characters")
    if len(answer) > MAX_LENGTH:  # hostile texts are not worth a place in the cache
        return Verdict("fail", answer, "over-limit", f"longer than {MAX_LENGTH} characters")
    try:
        settled = _settle(reference, answer)
    except PoolError as error:
        return Verdict("error", answer, "worker", str(error).strip().splitlines()[-1])
    except Exception as fault:  # a text that breaks our reading: it is the answer's doing, and a fault to be mended
        log.exception("math: the answer %r cannot be read", answer)
        return Verdict("fail", answer, "unreadable", f"{type(fault).__name__} while the answer was read")
    return Verdict(settled.outcome, answer, settled.rule, settled.detail)


@functools.lru_cache(maxsize=65_536)
def _settle(reference: str, answer: str) -> Verdict:
    """The verdict, remembered, as training asks for it again and again. A PoolError is raised, so not remembered."""
    reference, answer = normalise(reference), normalise(answer)
    if not answer:
        return Verdict("fail", rule="empty")
    if reference != answer:
        if reason := over_limit(reference):
            return Verdict("error", rule="reference", detail=f"the reference cannot be graded: {reason}")
        if reason := over_limit(answer):
            return Verdict("fail", rule="over-limit", detail=reason)
    try:
        decision = compare(reference, answer, _ask_a_worker)
    except _NeedsWorkerError:
        return _settle_in_worker(reference, answer)
    return Verdict("pass" if decision.same else "fail", rule=decision.rule)


class _NeedsWorkerError(Exception):
    """The comparison cannot go on without Math-Verify."""


def _ask_a_worker(reference: str, answer: str) -> tuple[bool, str]:
    raise _NeedsWorkerError


def _settle_in_worker(reference: str, answer: str) -> Verdict:
    """The verdict of a worker. Raises PoolError if the workers fail a known pair too."""
    try:
        decision = _try_twice(reference, answer)
    except PoolError as fault:
        control = _pool().call(compare_in_worker, *CONTROL, seconds=LONGER_SECONDS)
        if not control.same:
            raise
        rule = "too-slow" if isinstance(fault, TooSlow) else "kills-worker"
        return Verdict("fail", rule=rule, detail=str(fault).strip().splitlines()[-1])
    return Verdict("pass" if decision.same else "fail", rule=decision.rule)


_longer = threading.Lock()


def _try_twice(reference: str, answer: str) -> Decision:
    """The decision of a worker; at a second try alone and with more time."""
    try:
        return _pool().call(compare_in_worker, reference, answer, seconds=SECONDS)
    except PoolError:
        with _longer:
            return _pool().call(compare_in_worker, reference, answer, seconds=LONGER_SECONDS)


def compare_in_worker(reference: str, answer: str) -> Decision:
    from scorebench.grading.math.equivalence import equivalent

    return compare(reference, answer, equivalent)


_pool_lock = threading.Lock()


@functools.cache
def _pool_of(process: int) -> WorkerPool:
    return WorkerPool(preload=("math_verify", __name__))


def _pool() -> WorkerPool:
    """The workers of this process, one pool for all of its threads; a forked child gets its own."""
    with _pool_lock:
        return _pool_of(os.getpid())
