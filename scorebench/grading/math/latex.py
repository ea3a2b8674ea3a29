r"""One spelling for what LaTeX can spell in many ways: \dfrac, \left(, 10,\!000, ^{\circ}, \mbox ... Pure text.

clean() only ever removes what carries no meaning, so two answers that clean to the same text are the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_UNICODE = str.maketrans(
    {
        "−": "-",
        "–": "-",
        "²": "^{2}",
        "³": "^{3}",
        "×": r"\times ",
        "·": r"\cdot ",
        "÷": r"\div ",
        "π": r"\pi ",
        "∞": r"\infty ",
        "°": r"^\circ ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "≠": r"\ne ",
        "≈": r"\approx ",
        "∪": r"\cup ",
        "∈": r"\in ",
        "±": r"\pm ",
        "∅": r"\emptyset ",
        "\u00a0": " ",
    }
)

# Each pair is applied once, in this order.
_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"(?<=\d) ?(?:\{,\}|, ?\\!|\\[,;:]) ?(?=\d{3}(?!\d))", ""),  # thousands: 1{,}000 10,\!000 10\,000
        (r"(?<!\\)\\!|\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])", ""),
        (r"(?<!\\)\\[,;:>]|\\q?quad(?![A-Za-z])|~", " "),
        (r"\\(?:displaystyle|textstyle|limits|nolimits|rm|bf|it)(?![A-Za-z])", ""),
        (r"\\[hv]?phantom ?(?:\{[^{}]*\}|[^{}])", ""),
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (
            r"\\(?:mbox|hbox|text[a-z]+|math(?:rm|bf|it|sf|tt|normal)|operatorname\*?|boldsymbol)(?=[ {])",
            r"\\text",
        ),
        (r"\\leq(?:slant)?(?![A-Za-z])|\\leqq(?![A-Za-z])", r"\\le"),
        (r"\\geq(?:slant)?(?![A-Za-z])|\\geqq(?![A-Za-z])", r"\\ge"),
        (r"\\neq(?![A-Za-z])", r"\\ne"),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\(?:varnothing|O)(?![A-Za-z])", r"\\emptyset"),
        (r"\\[lr]?vert(?![A-Za-z])|\\mid(?![A-Za-z])", "|"),
        (r"\\lbrace(?![A-Za-z])", r"\\{"),
        (r"\\rbrace(?![A-Za-z])", r"\\}"),
        (r"\\langle(?![A-Za-z])", "("),
        (r"\\rangle(?![A-Za-z])", ")"),
        (r"\^ ?(?:\{ ?\\circ ?\}|\\circ(?![A-Za-z]))|\\degree(?![A-Za-z])", r"\\degree "),
        (r"(?<!\\)%", r"\\%"),
        # "and" and "or" between parts
        (r",? ?(?:\\text ?\{ ?,? ?(?:and|or) ?\}|(?<=[ \d}$])(?<![A-Za-z] )(?:and|or)(?= [-\d\\$(]))", ", "),
    )
)
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_BOX = re.compile(r"\\(?:boxed|fbox) ?\{")
# A mark at the end of a sentence, alone or as the last thing in a \text. ("a.m." keeps its own.)
_FULL_STOP = re.compile(r"(?<![.\\])(?<!\.[a-z])[.,;:]+$")


_CONTROL_SPACE = re.compile(r"(?<!\\)\\ ")


def clean(answer: str) -> str:
    """The answer without what carries no meaning; single spaces are left where a space may have a meaning."""
    text = "".join(c if c.isprintable() else " " for c in answer.translate(_UNICODE))
    text = " ".join(_CONTROL_SPACE.sub(" ", text).split())
    before = None
    while text != before:
        before = text
        text = _unwrap(_FULL_STOP.sub("", text).strip())
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def _unwrap(text: str) -> str:
    """Takes off dollars, a box, or braces, if they hold the whole text."""
    for opener, closer in _WRAPPERS:
        inner = text[len(opener) : len(text) - len(closer)]
        whole = text.startswith(opener) and text.endswith(closer) and len(text) >= len(opener) + len(closer)
        if whole and not text.endswith("\\" + closer) and not re.search(r"(?<!\\)" + re.escape(closer), inner):
            return inner.strip()
    box = _BOX.match(text)
    start = box.end() if box else 1 if text.startswith("{") else 0
    if start and closing(text, start - 1) == len(text) - 1:
        return text[start:-1].strip()
    return text


_BRACKET = re.compile(r"\\[{}]|\\.|[()\[\]{}]", re.DOTALL)
_DEPTH = {"(": 1, "[": 1, "{": 1, r"\{": 1, ")": -1, "]": -1, "}": -1, r"\}": -1}


def closing(text: str, start: int) -> int | None:
    """Where the bracket that closes the one at `start` begins; any closer closes, as in (0, 1]. None if none does."""
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
    depths = _outside(text)
    parts, found, start = [], [], 0
    for separator in separators.finditer(text):
        if depths[separator.start()]:
            parts.append(text[start : separator.start()].strip())
            found.append(separator.group())
            start = separator.end()
    return [*parts, text[start:].strip()], found


def _outside(text: str) -> bytearray:
    """For each character, whether it stands outside all brackets."""
    outside = bytearray(len(text))
    depth = start = 0
    for bracket in _ends(text):
        if depth == 0:
            outside[start : bracket[0]] = b"\x01" * (bracket[0] - start)
        depth = max(0, depth + bracket[1])
        start = bracket[2]
    if depth == 0:
        outside[start:] = b"\x01" * (len(text) - start)
    return outside


def _ends(text: str) -> Iterator[tuple[int, int, int]]:
    """Where each bracket starts, what it does to the depth, where it ends."""
    for bracket in _BRACKET.finditer(text):
        change = _DEPTH.get(bracket.group())
        if change:
            yield bracket.start(), change, bracket.end()
