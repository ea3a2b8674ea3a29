"""Whether two answers are the same by MATH's conventions. True, False, or None: not known without Math-Verify.

`ask` decides what is left: whether two formulas (LaTeX, the reference first) are equal. In the caller's process it is
`unknown`, which gives None; in a worker process it is Math-Verify. So the same code decides in both, and a pair goes to
a worker only where its cheap parts leave a doubt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import zip_longest
from typing import TypeAlias

from scorebench.grading.math.expressions import Tree, names_of, to_latex
from scorebench.grading.math.forms import (
    Assignment,
    Based,
    Form,
    Group,
    Listing,
    Matrix,
    Relation,
    Scalar,
    Union,
    Words,
    plain,
)
from scorebench.grading.math.units import clash
from scorebench.grading.math.values import Approximate, Undecided, Value, differ, values

Ask: TypeAlias = Callable[[str, str], bool | None]
# Lists are matched part by part in any order; longer ones only in the order given.
MAX_UNORDERED = 32
_NAME = re.compile(r"[A-Za-z ]+")


def unknown(reference: str, answer: str) -> None:
    """The `ask` that never knows."""


def same(reference: Form, answer: Form, ask: Ask) -> bool | None:
    """Whether an answer is the reference."""
    if reference.text == answer.text:
        return True
    match reference, answer:
        case Assignment(), Assignment():
            return _same_assignment(reference, answer, ask)
        case (Assignment(), Relation()) | (Relation(), Assignment()):
            return ask(reference.text, answer.text)
        case Assignment(), _:
            return same(reference.value, answer, ask)
        case _, Assignment():
            return same(reference, answer.value, ask)
        case (Words(), _) | (_, Words()):
            return _letters(reference) == _letters(answer)
        case Based(), Based():
            return (reference.digits, reference.base) == (answer.digits, answer.base)
        case (Based() as based, other) | (other, Based() as based):
            # The problem names the base, and many references of MATH leave it out.
            return other.text.replace(" ", "").lstrip("+0").upper() == based.digits
        case Scalar(), Scalar():
            return _same_scalar(reference, answer, ask)
        case Matrix(), Matrix():
            shapes = [[len(row) for row in matrix.rows] for matrix in (reference, answer)]
            return shapes[0] == shapes[1] and _all(
                _same_ordered(a, b, ask) for a, b in zip(reference.rows, answer.rows, strict=True)
            )
        case _:
            return _same_parts(reference, answer, ask)


def _letters(form: Form) -> str:
    return (form.plain if isinstance(form, Words) else plain(form.text)).replace(" ", "")


def _same_parts(reference: Form, answer: Form, ask: Ask) -> bool | None:
    """Forms of several parts, or of different kinds."""
    match reference, answer:
        case Group(), Group():
            return reference.brackets == answer.brackets and _same_ordered(reference.parts, answer.parts, ask)
        case (Group(), Listing() as several) | (Listing() as several, Group()) if several.text.startswith(r"\{"):
            return False  # a set is no point and no interval
        case Group(brackets="()"), Listing():  # a point without its brackets
            return _same_ordered(reference.parts, answer.parts, ask)
        case Listing(), (Listing() | Group(brackets="()")):
            return _same_unordered(reference.parts, answer.parts, ask)
        case Union(), Union():
            return _same_unordered(reference.parts, answer.parts, ask) or ask(reference.text, answer.text)
    if _may_be_set(reference) and _may_be_set(answer):
        return ask(reference.text, answer.text)
    unread = next((form for form in (reference, answer) if isinstance(form, Scalar) and form.tree is None), None)
    return ask(reference.text, answer.text) if unread else False


def _may_be_set(form: Form) -> bool:
    """Intervals and inequalities can be written in several ways, which Math-Verify knows."""
    return isinstance(form, Group | Union | Relation) or (isinstance(form, Scalar) and form.tree is None)


def _same_assignment(reference: Assignment, answer: Assignment, ask: Ask) -> bool | None:
    if reference.name == answer.name:
        return same(reference.value, answer.value, ask)
    curves = any(isinstance(f.value, Scalar) and f.value.tree and names_of(f.value.tree) for f in (reference, answer))
    return ask(reference.text, answer.text) if curves else False  # y = 2x may be x = y/2; x = 5 is not y = 5


def _same_scalar(reference: Scalar, answer: Scalar, ask: Ask) -> bool | None:
    if clash(reference.unit, answer.unit):
        return False
    if reference.tree is None or answer.tree is None:
        return reference.number == answer.number or ask(reference.number, answer.number)
    verdict = _same_tree(reference.tree, answer.tree, reference.values, answer.values, ask)
    # 10% is written 10% or 10, and is 0.1.
    if verdict is not True and reference.unit != answer.unit:
        hundred = Fraction(100)
        if reference.unit == "percent":
            verdict = _any(verdict, _same_value(("/", reference.tree, hundred), answer.tree, ask))
        elif answer.unit == "percent":
            verdict = _any(verdict, _same_value(reference.tree, ("/", answer.tree, hundred), ask))
    return verdict


def _same_value(reference: Tree, answer: Tree, ask: Ask) -> bool | None:
    return _same_tree(reference, answer, _known_values(reference), _known_values(answer), ask)


def _known_values(tree: Tree) -> tuple[Value, ...] | None:
    try:
        return values(tree)
    except Undecided:
        return None


def _same_tree(
    reference: Tree, answer: Tree, known: tuple[Value, ...] | None, given: tuple[Value, ...] | None, ask: Ask
) -> bool | None:
    if known is not None and given is not None:
        # A constant has one value, which is its value at every point.
        pairs = list(zip_longest(known, given, fillvalue=known[0] if len(known) == 1 else given[0]))
        if any(differ(a, b) for a, b in pairs):
            return False
        if not names_of(reference) and not names_of(answer) and isinstance(known[0], Fraction) and known == given:
            return True
    return ask(to_latex(reference), to_latex(answer))


def _same_ordered(reference: Sequence[Form], answer: Sequence[Form], ask: Ask) -> bool | None:
    if len(reference) != len(answer):
        return False
    return _all(same(a, b, ask) for a, b in zip(reference, answer, strict=True))


def _same_unordered(reference: Sequence[Form], answer: Sequence[Form], ask: Ask) -> bool | None:
    """Whether the parts can be matched one to one."""
    if len(reference) != len(answer) or len(reference) > MAX_UNORDERED:
        return _same_ordered(reference, answer, ask)
    left = list(answer)
    doubtful = False
    for part in reference:
        verdicts = [same(part, other, ask) for other in left]
        if True in verdicts:
            del left[verdicts.index(True)]
        elif None in verdicts:
            doubtful = True
        else:
            return False
    return None if doubtful else True


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    doubtful = False
    for verdict in verdicts:
        if verdict is False:
            return False
        doubtful = doubtful or verdict is None
    return None if doubtful else True


def _any(*verdicts: bool | None) -> bool | None:
    return True if True in verdicts else None if None in verdicts else False


def key(form: Form) -> str:
    """A text that is the same for answers that are the same, up to what only Math-Verify would see; for voting."""
    match form:
        case Words():
            return _letters(form)
        case Scalar() if _NAME.fullmatch(form.number):  # a choice or a word, with or without \\text
            return _letters(form)
        case Scalar():
            return form.number.replace(" ", "") if form.values is None else " ".join(map(_digits, form.values))
        case Based():
            return form.digits
        case Assignment():
            return key(form.value)
        case Group():
            return form.brackets[0] + ",".join(map(key, form.parts)) + form.brackets[1]
        case Listing():
            return ",".join(sorted(map(key, form.parts)))
        case Union():
            return r"\cup".join(sorted(map(key, form.parts)))
        case Matrix():
            return r"\\".join("&".join(map(key, row)) for row in form.rows)
        case _:
            return form.text.replace(" ", "")


def _digits(value: Value) -> str:
    """A value to nine digits, so that two ways to compute it read the same."""
    if isinstance(value, Approximate):
        real, imaginary = (
            f"{part:.9g}" if abs(part) > 1e-9 else "0" for part in (value.number.real, value.number.imag)
        )
        return real if imaginary == "0" else f"{real}{imaginary}i"
    long = value.numerator.bit_length() + value.denominator.bit_length() > 4096
    return f"number {hash(value)}" if long else str(value)
