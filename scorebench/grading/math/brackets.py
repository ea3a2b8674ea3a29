r"""Brackets in a text: where one closes, how deep they go, and the parts that stand between separators outside of them.

( [ { \{ and their closing partners count; any closing bracket closes, as in the interval (0, 1].
"""

from __future__ import annotations

import re
from collections.abc import Callable

_BRACKET = re.compile(r"\\[{}]|\\.|[()\[\]{}]", re.DOTALL)
_DEPTH = {"(": 1, "[": 1, "{": 1, r"\{": 1, ")": -1, "]": -1, "}": -1, r"\}": -1}


def closing(text: str, start: int) -> int | None:
    """Where the bracket that closes the one at `start` begins; None if none does."""
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += _DEPTH.get(bracket.group(), 0)
        if depth == 0:
            return bracket.start()
    return None


def nesting(text: str) -> int:
    """The greatest depth of brackets of any kind."""
    depth = deepest = 0
    for bracket in _BRACKET.finditer(text):
        depth += _DEPTH.get(bracket.group(), 0)
        deepest = max(deepest, depth)
    return deepest


def split(text: str, separators: re.Pattern[str]) -> tuple[list[str], list[str]]:
    """The parts of a text between separators that stand outside all brackets, and those separators."""
    outside = _outside(text)
    parts, found, start = [], [], 0
    for separator in separators.finditer(text):
        if outside[separator.start()]:
            parts.append(text[start : separator.start()].strip())
            found.append(separator.group())
            start = separator.end()
    return [*parts, text[start:].strip()], found


def _outside(text: str) -> bytearray:
    """For each character, whether it stands outside all brackets."""
    outside = bytearray(len(text))
    depth = start = 0
    for bracket in _BRACKET.finditer(text):
        change = _DEPTH.get(bracket.group(), 0)
        if not change:
            continue
        if depth == 0:
            outside[start : bracket.start()] = b"\x01" * (bracket.start() - start)
        depth = max(0, depth + change)
        start = bracket.end()
    if depth == 0:
        outside[start:] = b"\x01" * (len(text) - start)
    return outside


def replaced(text: str, command: re.Pattern[str], change: Callable[[str], str | None]) -> str:
    r"""The text with each \command{content} replaced by change(content), inner ones too; None leaves it as it is.

    `command` matches up to and with the opening brace of the content. What is not closed is left as it is.
    """
    position = 0
    for _ in range(100):
        match = command.search(text, position)
        if match is None:
            break
        end = closing(text, match.end() - 1)
        new = None if end is None else change(text[match.end() : end])
        if new is None or end is None:
            position = match.end()
        else:
            text = text[: match.start()] + new + text[end + 1 :]
            position = match.start()
    return text
