r"""Votes on a problem: answers that the grader takes for the same are one candidate.

The classes are made by verdicts, not by a normal form: an answer gets the key of the first known answer of its problem
with which it agrees in both directions. The reference is known first, so all answers that pass vote together. A percent
sign votes for its value: 50\% for 1/2, though the grader, who may not know which was asked for, also takes it for 50.
"""

from __future__ import annotations

import functools
import threading

from scorebench.grading.math.grader import same_answer
from scorebench.grading.math.limits import MAX_LENGTH
from scorebench.grading.math.normalise import normalise
from scorebench.grading.math.values import plain_number


class _Ballot:
    """The candidates of one problem, in the order in which they were first seen; the reference is the first."""

    def __init__(self, reference: str) -> None:
        self.candidates = [reference]
        self.lock = threading.Lock()


@functools.lru_cache(maxsize=65_536)
def _ballot(reference: str) -> _Ballot:
    return _Ballot(reference)


def vote_key(reference: str, answer: str) -> str:
    """The candidate that an answer votes for, as a text. Thread-safe; may wait for a worker.

    reference: the problem's; answers of problems with the same reference share their candidates.
    """
    answer = answer.strip()
    if len(answer) > MAX_LENGTH:
        return answer
    if same_answer(reference, answer).passed:
        return reference
    vote = _percent_as_value(answer)
    ballot = _ballot(reference)
    with ballot.lock:
        for candidate in ballot.candidates[1:]:
            if same_answer(candidate, vote).passed and same_answer(vote, candidate).passed:
                return candidate
        ballot.candidates.append(vote)
    return vote


def _percent_as_value(answer: str) -> str:
    text = normalise(answer)
    number = plain_number(text.replace(r"\%", "")) if text.endswith(r"\%") else None
    return answer if number is None else rf"\frac{{{(number / 100).numerator}}}{{{(number / 100).denominator}}}"
