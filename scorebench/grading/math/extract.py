r"""Finds the last stated answer of a reply. Pure text; linear time on any input.

Two forms are read (the paper's prompts ask for the first, appendix on prompts; MATH's own solutions use the second):

- rule "final-answer": "Final Answer: The final answer is $5$. I hope it is correct.", with or without the heading,
  the dollars, the closing words; \( \), \[ \] and $$ $$ are dollars too, and a \boxed inside is opened.
- rule "boxed": \boxed{5}, \fbox{5}, \boxed 5.

What is stated last counts, whichever its form: a model that corrects itself within a reply has taken back what it said
before ("my previous answer \boxed{6} was wrong, it is \boxed{5}" states 5). Answers are never merged. A last box that
is not closed, or is empty, states no answer: the reply was cut off, and what came before it was not its last word.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# The longest answer that is read. The longest of MATH has 159 characters.
MAX_ANSWER = 10_000

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])")
# The heading, the sentence, or both together: one statement, not two.
_STATEMENT = re.compile(
    r"(?:(?P<heading>final\s+answer[\s*_]{0,8}[:\n][\s*_]{0,8}(?:the\s+final\s+answer\s+is\b)?)|final\s+answer\s+is\b)"
    r"[\s*_]{0,8}:?[\s*_]{0,8}",
    re.IGNORECASE,
)
_CLOSING_WORDS = re.compile(r"I hope (?:it|this) is correct", re.IGNORECASE)
_OPENERS = {"$$": "$$", "$": "$", r"\(": r"\)", r"\[": r"\]"}
_OPENER = re.compile(r"\$\$|\$|\\\(|\\\[")
_MATH_TOKEN = re.compile(r"\\[()\[\]]|\\.|\$\$|\$|[{}]", re.DOTALL)
_GLUE = re.compile(r"\s{0,9}[,;]?\s{0,9}(?:and|or)?\s{0,9}(?=\$|\\\(|\\\[)")
_INTRODUCTION = re.compile(r"[A-Za-z ,:'-]{0,60}(?=\$|\\\(|\\\[)")
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
_PROSE = re.compile(r"[a-z][a-z' ,-]+")
_BARE_CONTENT = re.compile(r"-?\d+(?:\.\d+)?|\\[A-Za-z]+|[^\s$]")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


class Found(NamedTuple):
    """An answer as stated, and the name of the rule that found it."""

    answer: str
    rule: str


class _Span(NamedTuple):
    answer: str
    end: int


def last_answer(reply: str) -> Found | None:
    """The last stated answer of a reply; None where none is stated, or the last one is empty or cut off."""
    boxes = list(_BOX.finditer(reply))
    statement = _last_statement(reply)
    if statement is not None and not (boxes and boxes[-1].start() > statement.end):
        return Found(statement.answer, "final-answer")
    boxed = _box_content(reply, boxes[-1].end()) if boxes else None
    return Found(boxed, "boxed") if boxed else None


def last_boxed(text: str) -> str | None:
    r"""The content of the last \boxed or \fbox of a text; None without one, or if it is not closed."""
    boxes = list(_BOX.finditer(text))
    return _box_content(text, boxes[-1].end()) if boxes else None


def _box_content(text: str, start: int) -> str | None:
    """What stands in the braces that open at `start`, or, as TeX reads it, the one token there."""
    start = len(text) - len(text[start:].lstrip())
    if text[start : start + 1] != "{":
        # TeX would take one digit; a number is what was meant.
        token = _BARE_CONTENT.match(text, start)
        return token.group() if token else None
    depth = 0
    for brace in _BRACE.finditer(text, start, start + MAX_ANSWER):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return text[start + 1 : brace.start()].strip()
    return None


def _last_statement(reply: str) -> _Span | None:
    """The last "final answer" statement that states something: its answer, and where it ends."""
    statements = list(_STATEMENT.finditer(reply))
    limit = len(reply)
    for statement in reversed(statements):
        start = statement.end()
        found = _stated(reply, start, min(limit, start + MAX_ANSWER), headed=statement["heading"] is not None)
        if found is not None:
            return found
        limit = statement.start()
    return None


def _stated(reply: str, start: int, limit: int, headed: bool) -> _Span | None:
    """The answer between `start` and `limit`, and where it ends; None if the words there state nothing."""
    closing = _CLOSING_WORDS.search(reply, start, limit)
    end = closing.start() if closing else limit
    introduction = _INTRODUCTION.match(reply, start, end)
    groups = _math_groups(reply, introduction.end() if introduction else start, end)
    if groups is not None:
        answer, end = groups
    else:
        # With the closing words, what stands before them; without, the sentence.
        sentence = None if closing else _SENTENCE_END.search(reply, start, end)
        end = sentence.start() if sentence else end
        answer = re.sub(r"(?<!\\)\$", "", reply[start:end]).strip(" \t\r\n*_,;")
        prose = _PROSE.fullmatch(answer) or len(answer.split()) > 4
        if prose and not (headed or closing):  # "... so the final answer is correct"
            return None
    if _BOX.search(answer):
        answer = last_boxed(answer) or ""
    answer = answer.strip().removesuffix(".").strip()
    return _Span(answer, end) if answer else None


def _math_groups(reply: str, start: int, limit: int) -> _Span | None:
    """$...$ at `start`, and more of them joined by commas, "and", "or"; None if none is there or it is not closed."""
    answers: list[str] = []
    last_end = start
    while opener := _OPENER.match(reply, start, limit):
        end = _math_end(reply, opener.end(), limit, _OPENERS[opener.group()])
        if end is None:
            break
        answers.append(reply[opener.end() : end].strip())
        last_end = end + len(opener.group())
        glue = _GLUE.match(reply, last_end, limit)
        if glue is None:
            break
        start = glue.end()
    return _Span(", ".join(filter(None, answers)), last_end) if any(answers) else None


def _math_end(reply: str, start: int, limit: int, closer: str) -> int | None:
    r"""Where the delimiter stands that closes a formula; a dollar inside braces, as in \text{$5$}, does not."""
    depth, inside = 0, None
    for token in _MATH_TOKEN.finditer(reply, start, limit):
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if token.group() == closer:
            if depth <= 0:
                return token.start()
            inside = inside or token.start()
    return inside  # braces that do not match: the first closer there is
