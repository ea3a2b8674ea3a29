r"""What kind of thing an answer of MATH is: a number, words, a point, an interval, a list, a matrix, an equation ...

read() finds the kind and the parts, which are answers themselves; compare.py compares them.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from scorebench.grading.math.expressions import Tree, Unreadable, names_of, read_expression
from scorebench.grading.math.latex import closing, split
from scorebench.grading.math.units import split_unit
from scorebench.grading.math.values import TooLarge, Undecided, Value, values


@dataclass(frozen=True)
class Form:
    """text: the cleaned LaTeX of the whole."""

    text: str


@dataclass(frozen=True)
class Scalar(Form):
    """One number or formula.

    number: the text without its unit, and unit: its name, "" where none is known.
    tree: None for what our own reader does not know; Math-Verify may.
    values: at fixed points, one for a constant; None where they cannot be computed.
    """

    number: str
    unit: str
    tree: Tree | None
    values: tuple[Value, ...] | None


@dataclass(frozen=True)
class Words(Form):
    """Words, a choice, a name, a time of day. plain: without case, brackets and stops."""

    plain: str


@dataclass(frozen=True)
class Based(Form):
    """A number with the base that it is written in: 1011_2."""

    digits: str
    base: str


@dataclass(frozen=True)
class Group(Form):
    """Parts in brackets, in order: a point, a vector, or an interval (which of them, the text alone does not say)."""

    brackets: str
    parts: tuple[Form, ...]


@dataclass(frozen=True)
class Listing(Form):
    """Several answers, or a finite set, in any order; the same one twice is not the same as once."""

    parts: tuple[Form, ...]


@dataclass(frozen=True)
class Union(Form):
    parts: tuple[Form, ...]


@dataclass(frozen=True)
class Matrix(Form):
    rows: tuple[tuple[Form, ...], ...]


@dataclass(frozen=True)
class Assignment(Form):
    r"""A name and its value: x = 5, f(x) = x^2, \text{area} = 5."""

    name: str
    value: Form


@dataclass(frozen=True)
class Relation(Form):
    """An equation between formulas, or an inequality."""


_SEPARATOR = re.compile(r"[,;]")
_THOUSANDS = re.compile(r"(?P<before>[-+]? ?(?:\\\$ ?)?)(?P<number>\d{1,3}(?:,\d{3})+)(?P<after>(?:\.\d+)?[^,;\d]*)")
_SIGN = re.compile(r"<|>|=|\\(?:le|ge|ne|in|approx|equiv|sim)(?![A-Za-z])")
_CUP = re.compile(r"\\cup(?![A-Za-z])")
_PLUS_MINUS = re.compile(r"\\pm(?![A-Za-z])|\\mp(?![A-Za-z])")
_MATRIX = re.compile(r"\\begin ?\{([pbB]|small)?matrix\}(?P<body>.*)\\end ?\{([pbB]|small)?matrix\}", re.DOTALL)
_BASED = re.compile(
    r"(?P<digits>[-+]?[0-9A-Za-z]*\d[0-9A-Za-z]*(?:\.[0-9A-Za-z]+)?) ?_ ?(?:\{ ?(?P<base>\d+) ?\}|(?P<b>\d+))"
)
_TEXT = re.compile(r"\\text ?\{([^{}]*)\}")
_ASSIGNED = re.compile(
    r"[A-Za-z]+(?: ?_ ?\{?\w+\}?)?|\\[A-Za-z]+(?: ?_ ?\{?\w+\}?)?|[A-Za-z] ?\( ?[A-Za-z] ?\)|\\text ?\{[^{}]*\}"
)
_CAPITALS = re.compile(r"[A-Z]+")
_CLOCK = re.compile(
    r"\d{1,2}(?: ?: ?\d\d)+ ?(?:\\text ?\{)? ?[ap]\.?m\.? ?\}?|0\d ?: ?\d\d|\d{1,2} ?: ?00", re.IGNORECASE
)
_EMPTY = (r"\emptyset", r"\{\}", r"\{ \}")


@functools.lru_cache(maxsize=8192)
def read(text: str) -> Form:
    """The form of a cleaned text (latex.clean). Raises values.TooLarge."""
    if (thousands := _THOUSANDS.fullmatch(text)) is not None:
        text = thousands["before"] + thousands["number"].replace(",", "") + thousands["after"]
    return _read_matrix(text) if r"\begin" in text else _read_parts(text)


def read_as_list(text: str) -> Form | None:
    """The other reading of 70,110: two numbers and not seventy thousand. None where there is no other."""
    return _read_parts(text) if _THOUSANDS.fullmatch(text) else None


def _read_parts(text: str) -> Form:
    parts, _ = split(text, _SEPARATOR)
    if len(parts) > 1 and not (text.startswith(r"\text") and _TEXT.fullmatch(text)):
        return _listing(text, [part for part in parts if part])
    return _read_sides(text)


def _listing(text: str, parts: list[str]) -> Form:
    r"""A list of parts; a part that is itself a list, as 1 \pm 2 is, gives its members."""
    forms = []
    for part in map(read, parts):
        forms.extend(part.parts if isinstance(part, Listing) else (part,))
    return forms[0] if len(forms) == 1 else Listing(text, tuple(forms))


def _read_sides(text: str) -> Form:
    sides, signs = split(text, _SIGN)
    if not signs:
        return _read_union(text)
    if signs[0] == r"\approx":  # "\approx 8.24", and the exact side of "2/3 \approx 0.67"
        return read(sides[0] or sides[1])
    assigned = _ASSIGNED.fullmatch(sides[0]) is not None
    if signs == [r"\in"] and assigned:
        return read(sides[1])
    if set(signs) == {"="} and all(sides):
        value = read(sides[-1])
        if assigned:
            return Assignment(text, sides[0].replace(" ", ""), value)
        if _is_constant(value) and _is_constant(read(sides[0])):  # 0.56 = 56\%
            return value
    return Relation(text)


def _is_constant(form: Form) -> bool:
    return isinstance(form, Scalar) and form.tree is not None and not names_of(form.tree)


def _read_union(text: str) -> Form:
    parts, cups = split(text, _CUP)
    if cups:
        return Union(text, tuple(map(read, parts)))
    if text in _EMPTY:
        return Listing(text, ())
    opener = r"\{" if text.startswith(r"\{") else text[:1]
    end = closing(text, 0) if opener in ("(", "[", r"\{") else None
    closer = text[end:] if end is not None else ""
    if closer in (")", "]", r"\}"):
        return _read_group(text, opener, closer)
    return _read_single(text)


def _read_group(text: str, opener: str, closer: str) -> Form:
    inside = text[len(opener) : -len(closer)].strip()
    parts = [part for part in split(inside, _SEPARATOR)[0] if part]
    if opener == r"\{":
        described = "|" in inside or ":" in inside  # \{x : x > 3\}
        return _unknown(text) if described else _listing(text, parts)
    if len(parts) == 1:
        return read(parts[0])
    return Group(text, opener + closer, tuple(map(read, parts)))


def _read_single(text: str) -> Form:
    if _CLOCK.fullmatch(text) or _CAPITALS.fullmatch(text):
        return Words(text, plain(text).lstrip("0"))
    if (based := _BASED.fullmatch(_TEXT.sub(r"\1", text))) is not None:
        return Based(text, based["digits"].lstrip("+0").upper(), based["base"] or based["b"])
    if (whole := _TEXT.fullmatch(text)) is not None:
        return _read_words(text, whole[1].strip())
    number, unit = split_unit(text)
    if r"\text" in number or not number:
        return Words(text, plain(text))
    if _PLUS_MINUS.search(number):
        return _listing(text, [_signed(number, "+", "-"), _signed(number, "-", "+")])
    return _scalar(text, number, unit)


def _read_words(text: str, words: str) -> Form:
    if re.fullmatch(r"[-+\d.,/ ]+", words):  # a number that was put into \text
        return read(words)
    letters = [letter.strip() for letter in words.split(",")]
    if len(letters) > 1 and all(len(plain(letter)) == 1 for letter in letters):
        return Listing(text, tuple(Words(letter, plain(letter)) for letter in letters))
    return Words(text, plain(words))


def _signed(text: str, plus_minus: str, minus_plus: str) -> str:
    return _PLUS_MINUS.sub(lambda sign: plus_minus if sign.group() == r"\pm" else minus_plus, text)


def _scalar(text: str, number: str, unit: str) -> Scalar:
    try:
        tree = read_expression(number)
    except Unreadable:
        return Scalar(text, number, unit, None, None)
    try:
        return Scalar(text, number, unit, tree, values(tree))
    except TooLarge:
        raise
    except Undecided:
        return Scalar(text, number, unit, tree, None)


def _unknown(text: str) -> Scalar:
    return Scalar(text, text, "", None, None)


def _read_matrix(text: str) -> Form:
    whole = _MATRIX.fullmatch(text)
    if whole is None or r"\begin" in whole["body"]:
        return _unknown(text)
    rows = [row for row in re.split(r"\\\\", whole["body"]) if row.strip()]
    return Matrix(text, tuple(tuple(read(cell.strip()) for cell in row.split("&")) for row in rows))


def plain(text: str) -> str:
    r"""The letters and digits of a text, without \text, case, brackets, stops and repeated spaces."""
    text = re.sub(r"\\(?:text|overline)(?![A-Za-z])", "", text)
    text = re.sub(r"[^\w\s.:+/^-]|\.(?!\d)", "", text).casefold()
    return " ".join(text.replace("_", " ").split())
