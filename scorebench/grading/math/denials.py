r"""Sentences that deny an answer or leave it open: "cannot be 5", "I do not think the answer is 5", "5. Or maybe 6.".

Pure text; every search is in a short piece of the reply. What is found becomes a part of the answer ("not 5",
"5 or maybe 6"), so that it stands in the verdict, and the rules "hedged" and "count" decide.
"""

from __future__ import annotations

import re

_NEAR = 100  # characters before an answer that are looked at
_NO = r"(?:\b(?:not|never|cannot)|n['’]t)"
# Directly before the value: "cannot be 5", "is not equal to \boxed{5}".
_DENIED = re.compile(
    rf"{_NO}\s+(?:(?:be|been|equal|equal to|exactly|the (?:number|value))\s+)?[\s*_\"]*(?:\$\$?|\\[(\[])?\s*$",
    re.IGNORECASE,
)
# Before "answer is": "I do not think that the final". "I do not doubt" denies nothing.
_NOT_SAID = re.compile(
    rf"(?:{_NO} +(?:(?:really|actually|quite|at all) +)?(?:(?:think|believe|agree|claim|say|sure)(?: +that)?"
    r"|(?:certain|convinced|the case|true|possible) +that|(?:sure|certain|know) +(?:if|whether))"
    r"|(?<!no )(?<!not )(?<!n't )(?<!n’t )\bdoubt(?: +that)?|(?<!not )\b(?:unlikely|impossible) +that)"
    r" +(?:(?:the|my|our|your|correct|right|final) +){0,3}$",
    re.IGNORECASE,
)
_ANSWER_IS = re.compile(r"\banswer\s+(?:is|was|would\s+be|should\s+be)[\s:*_$]*$", re.IGNORECASE)
# "The answer cannot be", "the final answer isn't": what follows is denied if it is a value.
NEGATED_VERB = (
    r"\b(?:(?:is|are|was|would|should|must|could|may|might|will)(?:n['’]t|\s+not)|can(?:['’]t|not|\s+not)|won['’]t)"
    r"(?:\s+be)?\b(?=[\s*_:]*(?:equal to\s+|exactly\s+)?(?:\$|\\|-?\d|[(\[{]))"
)
_NEGATED_END = re.compile(r"(?:not|n['’]t)(?:\s+be)?[\s*_:#]*$", re.IGNORECASE)
_NOT = re.compile(rf"{_NO}\s+(?=\S)", re.IGNORECASE)
_VALUE = r"(?:\$[^$\n]{1,80}\$|\\\([^\n]{1,80}?\\\)|-?\\?\$?\d[\d,./]*\d|-?\d)"
_MAYBE = (
    r"(?:maybe|perhaps|possibly|alternatively,?|(?:it\s+)?(?:could|might|may)\s+(?:also\s+|as\s+well\s+)?be"
    r"|(?:it\s+)?(?:could|might|may)\s+equally\s+be)"
)
_OTHER = re.compile(
    rf"\$?[\s*]{{0,4}}[.,;]?[\s*]{{0,4}}(?:(?:or|but)\b,?\s+(?:(?:is\s+it|it\s+is)\s+)?(?P<maybe>{_MAYBE})?"
    rf"|(?P<else>alternatively)\b,?)\s*(?P<value>{_VALUE})\s*[.?!]?[\s*]*(?:$|\n|(?=I hope))",
    re.IGNORECASE,
)
_MAYBE_OTHER = re.compile(rf",?\s+(?:or|but)\b,?\s+{_MAYBE}\s+(?P<value>{_VALUE})\s*$", re.IGNORECASE)


def is_denied(text: str, start: int) -> bool:
    """Whether the words directly before a value deny it. start: where the value begins, or its dollar or box."""
    before = text[max(0, start - _NEAR) : start]
    if _DENIED.search(before):
        return True
    answer = _ANSWER_IS.search(before)
    return answer is not None and _NOT_SAID.search(before[: answer.start()]) is not None


def is_not_said(text: str, start: int) -> bool:
    """Whether the words before a statement say that it is not made. start: where "final answer" or "answer" begins."""
    return _NOT_SAID.search(text[max(0, start - _NEAR) : start]) is not None


def denied_value(mark: str, answer: str) -> str | None:
    """The value that a statement denies; None where it denies none.

    mark: the words from "answer" up to the value, such as "answer cannot be". answer: the value, as "5" or "not 5".
    """
    if _NEGATED_END.search(mark):
        return answer
    hedge = _NOT.match(answer)
    return answer[hedge.end() :] if hedge else None


def with_alternative(answer: str, text: str, start: int, end: int) -> str:
    """The answer with the other value that the reply offers beside it, if there is one.

    start, end: where the region begins and ends from which the answer was read. The other value stands in a sentence
    of its own behind it ("Or maybe 6.", "Or $6$."), or in the region ("5, but it could also be 6").
    """
    if other := _OTHER.match(text, end, end + 200):
        maybe = other["maybe"] or other["else"]
    elif other := _MAYBE_OTHER.search(text, start, end):
        maybe = "maybe"
    else:
        return answer
    if not maybe and ("%" in answer or "." in other["value"]):  # 50% or 0.5; 1/3 or 0.33
        return answer
    value = re.sub(r"^(?:\$|\\\()|(?:\$|\\\))$", "", other["value"]).strip()
    return f"{answer} or maybe {value}" if maybe else f"{answer} or {value}"
