"""Text of others in tables: names of models, settings, subjects. What a format would act on is written out."""

from __future__ import annotations

import re
from typing import Any

from scorebench.api.text import printable


def one_line(text: str) -> str:
    """The text in one line, without control characters."""
    return " ".join(printable(text).split())


def markdown(text: str) -> str:
    """The text in Markdown, inside a line: no emphasis, link, code, HTML or table cell can begin in it."""
    return "".join(f"\\{letter}" if letter in "\\|*_`<[]~" else letter for letter in one_line(text))


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"}


def latex(text: str) -> str:
    """The text in LaTeX, with arrows and the minus signs of numbers as mathematics."""
    words = "".join(_LATEX.get(letter, letter) for letter in one_line(text))
    words = words.replace("->", r"$\to$").replace("<", "$<$").replace(">", "$>$")
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", words)


def csv_cell(value: Any) -> Any:
    """The value as a cell of CSV. Spreadsheets run a text that begins with = + - @, so an apostrophe is put before it.

    Numbers stay as they are, also where they are given as text.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
