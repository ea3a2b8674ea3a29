r"""Finds the answer that a reply states. Pure text; linear time on any input. docs/metrics.md says it for users.

The rules, in this order; what the model thought before its reply is no part of it:

1. "stated": the sentence of the prompt ("Final Answer: The final answer is $5$. I hope it is correct.") in its many
   spellings, rule "final-answer"; or \boxed{5}, rule "boxed". What is stated last counts, as a model that corrects
   itself takes back what it said before. Boxes side by side are one list. An empty box, or a sentence that goes on in
   prose ("the final answer is the sum"), states nothing. A last box that is not closed was cut off: there is no answer.
2. "loose": "The answer is 5", "Answer: 5", "#### 5", <answer>5</answer>, {"answer": 5}, the last of them.
3. "loose": the last formula or number of the last sentence that has one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from scorebench.api.replies import without_thoughts
from scorebench.grading.math.denials import NEGATED_VERB, denied_value, is_denied, is_not_said, with_alternative
from scorebench.grading.math.sentences import MAX_ANSWER, last_value, read_region

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_UNBRACED = re.compile(r"\s*(-?\d+(?:\.\d+)?|\\[A-Za-z]+|[A-Za-z](?![A-Za-z]))")
_PLACEHOLDER = re.compile(
    r"(?:\s|\.\.\.|…|\\[lc]?dots|\\q?quad|\\[,;: ]|[?_]|(?:\\text\{)?(?:your |the |final )*(?:answer|result"
    r"|solution)(?: here)?\}?)*",
    re.IGNORECASE,
)
# What may stand between two boxes of one list.
_GLUE = re.compile(
    r"(?:[\s$,;&]|\\[\[\]();,! ]|\\q?quad|\\text\{ ?,? ?(?:and|or)? ?\}|\b(?:and|or)\b|(?:[A-Za-z]"
    r"|\\[a-z]+)(?:_\{?\w+\}?)? ?=)*"
)
_AND = re.compile(
    r"(?:(?!\.\s|\n|\b(?:so|thus|hence|therefore|answer|then|which|wrong|not|rather|actually|instead|because|since)\b).)*",
    re.DOTALL,
)

_STATEMENT = re.compile(
    r"\bfinal\s+answer\b(?:\s+(?:to|for|of)\s+(?:the|this|your)\s+\w+)?(?:[^\w\n$\\({\[.,;:<\"'-]|\*){0,6}"
    rf"(?:[:=\n–—-]|{NEGATED_VERB}|\b(?:is|are|should\s+be|would\s+be|must\s+be|becomes)\b)[\s*_:#]*"
    r"(?:(?:so|thus|therefore|hence)?,?\s*the\s+(?:final\s+)?answer\s+(?:is|are)\b[\s*_:]*)?",
    re.IGNORECASE,
)
_LOOSE = re.compile(
    r"(?P<hash>^####[ \t]*)|<answer>\s*(?P<tag>.{0,2000}?)\s*</answer>"
    r"|\"(?:final_)?answer\"\s*:\s*(?P<json>\"(?:\\.|[^\"\\]){0,2000}\"|-?[\d.]+)"
    r"|\banswer\b(?:\s+(?:to|for|of)\s+(?:the|this|your)\s+[\w ]{1,40}?)?[\s*_]{0,4}"
    rf"(?:[:=]|\n|{NEGATED_VERB}|\b(?:is|are"
    r"|should\s+be|would\s+be|must\s+be)\b)[\s*_:]*",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
# A base model that goes on with a problem of its own.
_NEXT_PROBLEM = re.compile(
    r"\n[\s#*]*(?:(?:Problem|Question|Exercise|Example|Instruction|Input|Q|User|Human)\b[ \d.]{0,6}[*]{0,2}:"
    r"|<\|im_start\|>|<\|user\|>)",
    re.IGNORECASE,
)
_STATED_BEFORE = re.compile(
    r"I hope (?:it|this) is correct|\\boxed ?\{ ?[^}\s]|\banswer is:?\s*\S|\banswer: ?\S|^#### ?\S",
    re.IGNORECASE | re.MULTILINE,
)
# Only so many of the last marks are looked at, whatever the length of a reply.
_MARKS = 100


# "The final answer is positive, because ..." behind a box explains the answer.
_SMALL_WORDS = re.compile(r"[a-z]{3,}(?: [a-z]+)*")


class Found(NamedTuple):
    """An answer as it stands in the reply, the rule that found it, and whether it is stated as asked for."""

    answer: str
    rule: str
    reading: Literal["stated", "loose"]


class _Span(NamedTuple):
    answer: str
    start: int
    end: int


class _Denied(NamedTuple):
    """A value that the reply says is not the answer, and where it says so."""

    found: Found
    start: int
    end: int


def find_answer(reply: str) -> Found | None:
    """The answer of a reply; None where it has none. What the reply denies is no answer: it is found as "not 5"."""
    text = _own_part(without_thoughts(reply))
    denied: list[_Denied] = []
    found, start = _find(text, denied)
    for denial in denied:
        same = found is None or "".join(found.answer.split()) == "".join(denial.found.answer.split())
        if same and denial.start >= start:
            return denial.found._replace(answer=f"not {denial.found.answer}")
    return found


def _find(text: str, denied: list[_Denied]) -> tuple[Found | None, int]:
    """The last answer that is not denied, and where it stands. denied: gets what is denied behind it."""
    boxes = list(_boxes(text))
    statement, loose = _last_statement(text, denied), _last_loose(text, denied)
    if boxes and boxes[-1].answer == _CUT_OFF and not (statement and statement.end > boxes[-1].start):
        denied.clear()
        return None, 0
    group = _last_group(text, _not_denied(text, boxes, denied))
    if statement and not (group and (group.start >= statement.end or _explains(text, statement))):
        return Found(statement.answer, "final-answer", "stated"), statement.start
    if group:
        return Found(with_alternative(group.answer, text, group.end, group.end), "boxed", "stated"), group.start
    if loose:
        return Found(loose.answer, "answer-is", "loose"), loose.start
    behind = max((denial.end for denial in denied), default=0)
    value = last_value(text[behind:])
    return (Found(value, "last-value", "loose"), behind) if value else (None, 0)


def _not_denied(text: str, boxes: list[_Span], denied: list[_Denied]) -> list[_Span]:
    r"""The boxes that are closed and not denied, as in "the answer is not \boxed{5}"."""
    kept = []
    for box in boxes:
        if box.answer == _CUT_OFF:
            continue
        if is_denied(text, box.start):
            denied.append(_Denied(Found(box.answer, "boxed", "stated"), box.start, box.end))
        else:
            kept.append(box)
    return kept


def _explains(text: str, statement: _Span) -> bool:
    formula = re.search(r"[$\\]", text[statement.start : statement.end])
    return formula is None and _SMALL_WORDS.fullmatch(statement.answer) is not None


def _own_part(text: str) -> str:
    """The reply up to where the model goes on with another problem, once it has stated an answer."""
    stated = _STATED_BEFORE.search(text)
    problem = _NEXT_PROBLEM.search(text, stated.end()) if stated else None
    return text[: problem.start()] if problem else text


_CUT_OFF = "\\boxed{"  # stands for the content of a box that is not closed; no content looks like it


def _boxes(text: str) -> Iterator[_Span]:
    r"""The boxes that hold something, in order."""
    for mark in list(_BOX.finditer(text))[-_MARKS:]:
        start = mark.end()
        while start < min(len(text), mark.end() + 50) and text[start].isspace():
            start += 1
        if text[start : start + 1] != "{":
            token = _UNBRACED.match(text, mark.end(), mark.end() + MAX_ANSWER)
            content, end = (token[1], token.end()) if token else ("", start)
        else:
            content, end = _braced(text, start)
        if not _PLACEHOLDER.fullmatch(content[:100]):
            yield _Span(content, mark.start(), end)


def _braced(text: str, start: int) -> tuple[str, int]:
    depth = 0
    for brace in _BRACE.finditer(text, start, start + MAX_ANSWER):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return text[start + 1 : brace.start()].strip(), brace.end()
    return _CUT_OFF, min(len(text), start + MAX_ANSWER)


def _last_group(text: str, boxes: list[_Span]) -> _Span | None:
    """The last box, with those that stand directly before it."""
    if not boxes:
        return None
    group, joint = [boxes[-1]], ", "
    for box in reversed(boxes[:-1]):
        between = text[box.end : group[0].start]
        if box.end > group[0].start or len(between) > 70:
            break
        side_by_side = _GLUE.fullmatch(between) and not re.search(r"\n\s*\n(?!.*(?:and|or))", between)
        listed = re.search(r"\band\b", between) and _AND.fullmatch(between)
        if not (side_by_side or listed):
            break
        joint = " or " if re.search(r"\bor\b", between) else joint
        group.insert(0, box)
    contents = list(dict.fromkeys(box.answer for box in group))
    return _Span(joint.join(contents), group[0].start, group[-1].end)


def _last_statement(text: str, denied: list[_Denied]) -> _Span | None:
    """The last "final answer" statement that states something; denied gets those behind it that deny a value."""
    limit = len(text)
    for mark in reversed(list(_STATEMENT.finditer(text))[-_MARKS:]):
        region = read_region(text, mark.end(), min(limit, mark.end() + MAX_ANSWER))
        if region is not None:
            answer = _opened(region.answer)
            value = answer if is_not_said(text, mark.start()) else denied_value(mark.group(), answer)
            if value is None:
                answer = with_alternative(answer, text, mark.end(), region.end)
                return _Span(answer, mark.start(), region.end)
            denied.append(_Denied(Found(value, "final-answer", "stated"), mark.start(), region.end))
        limit = mark.start()
    return None


def _opened(answer: str) -> str:
    boxes = [box for box in _boxes(answer) if box.answer != _CUT_OFF]
    group = _last_group(answer, boxes)
    return group.answer if group else answer


def _last_loose(text: str, denied: list[_Denied]) -> _Span | None:
    """The last of "the answer is 5", #### 5, <answer>5</answer> and {"answer": 5} that states something.

    denied gets the statements behind it that deny a value.
    """
    limit = len(text)
    for mark in reversed(list(_LOOSE.finditer(text))[-_MARKS:]):
        if mark["tag"] is not None:
            answer = mark["tag"]
        elif mark["json"]:
            answer = _from_json(mark["json"])
        elif region := read_region(text, mark.end(), min(limit, mark.end() + MAX_ANSWER)):
            answer = region.answer
            said = mark["hash"] is not None or not is_not_said(text, mark.start())
            value = denied_value(mark.group(), answer) if said else answer
            if value is not None:
                denied.append(_Denied(Found(value.strip(), "answer-is", "loose"), mark.start(), region.end))
                answer = ""
            else:
                answer = with_alternative(answer.strip(), text, mark.end(), region.end)
        else:
            answer = ""
        if answer.strip():
            return _Span(answer.strip(), mark.start(), mark.end())
        limit = mark.start()
    return None


def _from_json(value: str) -> str:
    try:
        return str(json.loads(value))
    except ValueError:  # LaTeX with its backslashes as they are
        return value.strip('"')
