r"""The parts of an answer: lists, sets, points, columns, a \pm b; and unions of intervals."""

from __future__ import annotations

import re
from typing import NamedTuple

from scorebench.grading.math.brackets import closing, split
from scorebench.grading.math.statements import interval, last_value_of, read_statement
from scorebench.grading.math.units import split_unit

_SEPARATOR = re.compile(r"[,;]| (?:and|or|as well as) |(?:^|(?<= ))(?:and|or) ")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PLUS_MINUS = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")
_COLUMN = re.compile(r"\(?\\begin\{[pv]?matrix\}(.*)\\end\{[pv]?matrix\}\)?")
_INTERVAL = re.compile(r"[(\[][^<>]*,[^<>]*[)\]]|[^<>]*\\cup[^<>]*|\\mathbb\{R\}[^<>]*")


class Parts(NamedTuple):
    """An answer of several parts. brackets: "" for a list, "{}" for a set, "()" and "[)" and so on for points."""

    brackets: str
    parts: list[str]
    either: bool = False  # joined by "or"

    @property
    def in_order(self) -> bool:
        """Whether the brackets say that the order of the parts counts."""
        return self.brackets not in ("", "{}")

    def names(self) -> list[str]:
        """The name of each part, as the x of x = 5; empty if a part has none."""
        statements = [read_statement(part) for part in self.parts]
        names = [statement.name for statement in statements if statement and statement.name]
        return names if len(names) == len(self.parts) else []


def read_parts(text: str) -> Parts | None:
    r"""The parts of a list, a set, a point, a column; None for anything else. 1 \pm 2 has two parts."""
    statement = read_statement(text)
    if statement and len(statement.values) == 1 and _inside_brackets(statement.values[0]):
        text = statement.values[0]
    if _THOUSANDS.fullmatch(split_unit(text)[0]) or interval(text):
        return None
    whole = _inside_brackets(text)
    if whole is None and (column := _column(text)) is not None:
        return Parts("()", column)
    brackets, inner = whole or ("", text)
    parts, separators = split(inner, _SEPARATOR)
    parts = [part for part in parts if part]
    if brackets in ("", "{}"):
        parts = [value for part in parts for value in _both_signs(part)]
    if len(parts) < 2 and brackets in ("", "()", "[]", "(]", "[)"):
        return None
    return Parts(brackets, parts, any("or" in separator for separator in separators))


def read_thousands_as_parts(text: str) -> Parts | None:
    """The numbers of 70,110, which read_parts takes for one; None for any other text."""
    return read_parts(text.replace(",", ", ")) if _THOUSANDS.fullmatch(text) else None


def _inside_brackets(text: str) -> tuple[str, str] | None:
    """The brackets that hold the whole text, as "[)", and the text inside of them; None where there are none."""
    for opener, name in ((r"\{", "{"), ("(", "("), ("[", "[")):
        if text.startswith(opener):
            end = closing(text, 0)
            if end is not None and text[end:] in (")", "]", r"\}"):
                return name + text[end:].lstrip("\\"), text[len(opener) : end].strip()
    return None


def _column(text: str) -> list[str] | None:
    """The entries of a column that is the whole text; None for any other text."""
    matrix = _COLUMN.fullmatch(text)
    if not matrix or r"\begin" in matrix[1] or "&" in matrix[1]:
        return None
    rows = [row.strip() for row in matrix[1].split(r"\\")]
    return rows if len(rows) > 1 else None


def _both_signs(part: str) -> list[str]:
    r"""The two values of a \pm b; \pm and \mp take opposite signs together, as in one formula."""
    if not 1 <= len(_PLUS_MINUS.findall(part)) <= 4:
        return [part]
    pairs = (("+", "-"), ("-", "+"))
    return [part.replace(r"\pm", plus).replace(r"\mp", minus).lstrip("+ ") for plus, minus in pairs]


def brackets_agree(gold: Parts, given: Parts) -> bool:
    """Whether the brackets of two answers may stand for the same thing."""
    kinds = {gold.brackets, given.brackets}
    if len(kinds) == 1 or kinds == {"", "{}"}:
        return True
    if "" in kinds:  # brackets may be left out, except those of a half-open interval
        return not kinds & {"[)", "(]"}
    return kinds == {"()", "[]"} and len(gold.parts) > 2


def of_one_thing(names: list[str]) -> bool:
    """Whether all names are of one thing: x, x or x_1, x_2."""
    return len({re.sub(r"_\{.*|_.*|'+$", "", name) for name in names}) == 1


def as_union(text: str, parts: Parts | None) -> str | None:
    r"""The text as an interval or a union, if it is one or is an inequality; x<1 or x>3 is a union. Else None."""
    if not parts or parts.brackets:
        return _as_interval(text)
    intervals = [_as_interval(part) for part in parts.parts]
    return r"\cup ".join(map(str, intervals)) if all(intervals) else None


def _as_interval(text: str) -> str | None:
    value = last_value_of(text)
    return value if _INTERVAL.fullmatch(value) else interval(text)
