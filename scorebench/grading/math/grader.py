r"""Verdicts on answers of MATH: whether the last stated answer of a reply is the reference.

The order, from cheap to dear: the same text; the same exact number, words, or parts; values that provably differ
(values.py); and for what is left Math-Verify, on that answer alone, in a worker process that is killed at its deadline.

What the harness cannot decide (a deadline, a dead worker) is an error, never a fail. An answer beyond the limits of
limits.py is a fail, rule "over-limit": it is nothing that a reference of MATH could be, and it never reaches SymPy.

The conventions, where MATH or its graders leave a choice:
- Exact: 0.333 is not 1/3, and 3.14 is not \pi. 0.50 is 1/2.
- A unit may be left out, but not be another one. 10\% is 10 and is 0.1. Degrees are a unit,
  but not inside \tan 15^\circ.
- (1, 2) is ordered, and [1, 2) is neither (1, 2) nor [1, 2]. 1, 2 is not ordered. A set is no point.
- x = 5 is 5, but not y = 5. 1011_2 is 1011 (the problem names the base), but not 1011_3, and not 11.
- 2\frac{1}{2} is a mixed number. 1,000 is a thousand. 1 \pm 2 is two answers.
- \text{(C)} is C is c; even is not odd. Words are compared by their letters.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
from fractions import Fraction
from typing import Any

from scorebench.api.types import Verdict
from scorebench.grading.math.compare import Ask, key, same, unknown
from scorebench.grading.math.expressions import to_latex
from scorebench.grading.math.extract import last_answer
from scorebench.grading.math.forms import Listing, read, read_as_list
from scorebench.grading.math.latex import clean
from scorebench.grading.math.limits import MAX_LENGTH, over_limit
from scorebench.grading.math.values import TooLarge
from scorebench.grading.math.worker_pool import PoolError, WorkerPool, WorkerTimeout

# Seconds that a worker may compute on one pair. Most take a hundredth.
DEADLINE = 1.0


def grade(reply: str, reference: str) -> Verdict:
    """The verdict of a whole reply, on its last stated answer (extract.py). Thread-safe; may wait for a worker.

    The rule names what found the answer and what settled it, as in "boxed, same-text". A reply that states no answer
    fails.
    """
    found = last_answer(reply)
    if found is None:
        return Verdict("fail", None, "no-answer", "the reply states no final answer")
    verdict = same_answer(reference, found.answer)
    return Verdict(verdict.outcome, verdict.answer, f"{found.rule}, {verdict.rule}", verdict.detail)


def same_answer(reference: str, answer: str) -> Verdict:
    """Whether two bare answers are the same; the first one is the reference. Thread-safe; may wait for a worker.

    Rules: "same-text", "compared" (parts, words, exact or provably different values), "math-verify", "over-limit";
    with an error "timeout", "worker", "reference".
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
    except WorkerTimeout:
        return Verdict("error", answer, "timeout", f"Math-Verify was not done after {DEADLINE} s")
    except PoolError as error:
        return Verdict("error", answer, "worker", str(error).strip().splitlines()[-1])
    return Verdict(settled.outcome, answer, settled.rule, settled.detail)


def vote_key(answer: str) -> str:
    """A text that is the same for the same answers: one vote each. It needs no worker.

    Formulas are compared by their values at fixed points, lists in any order, units not at all. What only Math-Verify
    would see, such as two forms of one equation or an inequality and its interval, gets two keys.
    """
    if len(answer) > MAX_LENGTH or over_limit(cleaned := clean(answer)):
        return answer.strip()
    try:
        return key(read(cleaned))
    except (TooLarge, RecursionError):
        return cleaned


@functools.lru_cache(maxsize=65_536)
def _settle(reference: str, answer: str) -> Verdict:
    """The verdict, asked for again and again in training. PoolErrors are raised, so that they are not remembered."""
    reference, answer = clean(reference), clean(answer)
    if reference == answer:
        return Verdict("pass", rule="same-text")
    if reason := _unfit(reference):
        return Verdict("error", rule="reference", detail=f"the reference cannot be graded: {reason}")
    if reason := _unfit(answer):
        return Verdict("fail", rule="over-limit", detail=reason)
    rule = "compared"
    try:
        verdict = _compare(reference, answer, unknown)
    except RecursionError:
        return Verdict("fail", rule="over-limit", detail="too deep")
    if verdict is None:
        rule, verdict = "math-verify", _pool().call(_compare_in_worker, reference, answer, timeout=DEADLINE)
    return Verdict("pass" if verdict else "fail", rule=rule)


def _unfit(text: str) -> str | None:
    """Why a cleaned text is not compared at all; None if it is."""
    if not text:
        return "nothing is left of it"
    if reason := over_limit(text):
        return reason
    try:
        read(text)
    except (TooLarge, RecursionError) as error:
        return f"too large or too deep: {error}"
    return None


def _compare(reference: str, answer: str, ask: Ask) -> bool | None:
    """compare.same on two cleaned texts. 70,110 is also tried as two numbers where the other side has parts."""
    forms = read(reference), read(answer)
    verdict = same(*forms, ask)
    lists = read_as_list(reference), read_as_list(answer)
    if verdict is not True and lists[0] is not None and isinstance(forms[1], Listing):
        return same(lists[0], forms[1], ask)
    if verdict is not True and lists[1] is not None and isinstance(forms[0], Listing):
        return same(forms[0], lists[1], ask)
    return verdict


_pool_lock = threading.Lock()


@functools.cache
def _pool_of(process: int) -> WorkerPool:
    return WorkerPool(preload=("math_verify", __name__))


def _pool() -> WorkerPool:
    """The workers of this process, one pool for all of its threads; a forked child gets its own."""
    with _pool_lock:
        return _pool_of(os.getpid())


def _compare_in_worker(reference: str, answer: str) -> bool | None:
    return _compare(reference, answer, _math_verify)


_DECIMAL = re.compile(r"\d*\.\d+")


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> list[Any]:
    """What Math-Verify reads in one bare answer; empty if nothing. Its own timeouts are off: the pool has one."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse
    from sympy import I

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    text = _DECIMAL.sub(lambda decimal: to_latex(Fraction(decimal.group())), text)  # decimals are exact
    text = text.replace(r"\degree", r"^\circ").replace(r"\$", "")
    # Units are ours (units.py); Math-Verify would take the c of a + b + c for one.
    normalization = NormalizationConfig(basic_latex=True, malformed_operators=True, nits=True, boxed="none")
    config = LatexExtractionConfig(boxed_match_priority=-1, normalization_config=normalization)
    parsed = parse(f"${text}$", [config], fallback_mode="no_fallback", parsing_timeout=0)
    # Math-Verify takes i for a variable.
    return [e.subs({name: I for name in e.free_symbols if str(name) == "i"}) for e in parsed]


def _math_verify(reference: str, answer: str) -> bool:
    """Math-Verify's verdict on two formulas, and not to fifteen digits but exactly."""
    from math_verify import verify

    golds, given = _parse(reference), _parse(answer)
    try:
        if _differ_beyond_doubles(golds[0], given[0]):  # first: SymPy may take for ever over log(2) and -987654321
            return False
        return verify(golds, given, timeout_seconds=None, allow_set_relation_comp=True, raise_on_error=True)
    except MemoryError:
        raise
    except Exception:  # what SymPy cannot compare, it does not know to be equal
        return False


def _differ_beyond_doubles(gold: Any, given: Any) -> bool:
    """Whether two numbers differ, if only beyond the fifteen digits that are all that Math-Verify looks at."""
    from sympy import Expr

    if gold == given or not isinstance(gold, Expr) or not isinstance(given, Expr):
        return False
    difference = gold - given
    return bool(difference.is_number and abs(difference.evalf(40)) > 1e-30)
