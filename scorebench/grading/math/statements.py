r"""What one answer states: names on the left of an equation, chains of equations, inequalities as intervals, hedges.

x = 5, f(2) = 5, |AB| = 5 and m + n = 5 give the value 5 to a name. x^2 + 1 = 5 and -x = 5 do not: they are equations.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from scorebench.grading.math.brackets import closing, split

_EQUALS = re.compile(r"(?<![<>!:])=")
_APPROXIMATELY = re.compile(r"\\approx(?![A-Za-z])|\\simeq|\\equiv|~=")
_GREEK = (
    r"\\(?:alpha|beta|gamma|delta|epsilon|varepsilon|theta|phi|varphi|psi|lambda|mu|nu|rho|sigma|tau|omega"
    r"|Delta|Omega|ell|kappa|eta)(?![A-Za-z])"
)
_INDEX = r"(?: ?_ ?\{[^{}]*\})?(?: ?'+| ?\^ ?\{ ?\\prime ?\})*"
_SYMBOL = rf"(?:[A-Za-z]|{_GREEK}|\\text\{{[^{{}}]*\}}){_INDEX}"
_POINTS = rf"(?:m ?)?(?:\\(?:measured)?angle ?|\\overline ?)?\{{?(?:[A-Z]{_INDEX} ?){{1,6}}\}}?"
_NAMED = rf"(?:{_POINTS}|{_SYMBOL})"
_NAME = re.compile(
    rf"{_NAMED}|\\text\{{[^{{}}]*\}} ?(?:{_POINTS})|m ?\\angle ?[A-Z\d]+|(?:[A-Za-z]{{4,}}+ ?)++"
    rf"|\|+ ?(?:{_NAMED}|\\overline\{{[^{{}}]*\}}) ?\|+|\[ ?[A-Z]{{3,6}} ?\]|\( ?{_SYMBOL}(?: ?, ?{_SYMBOL})+ ?\)"
    rf"|\\frac\{{ ?{_NAMED} ?\}}\{{ ?{_NAMED} ?\}}|{_NAMED} ?[/:] ?{_NAMED}|\\(?:sin|cos|tan|cot|sec|csc|det"
    rf"|arg|dim|gcd|max|min)(?: ?\^ ?\{{\d\}})? ?.+"
)
_APPLIED = re.compile(
    rf"(?:{_SYMBOL}|{_GREEK}|\\mathbb\{{[A-Z]\}})(?: ?\^ ?\{{[^{{}}]*\}})? ?(?=[(\[])|[A-Z]{_INDEX} ?(?=\()"
)
_LETTERS = re.compile(r"(?<![A-Za-z\\])[A-Za-z]")
_EQUATION_VARIABLES = frozenset("xyzrt")
_MEMBER = re.compile(rf"^({_SYMBOL}(?: ?\([^()]*\))?|\([^()]*\)) ?\\in(?![A-Za-z]) ?")

_HEDGE = re.compile(
    r"\b(?:not|never|maybe|perhaps|possibly|either|neither|(?:less|more|greater|fewer|larger|smaller|bigger"
    r"|other|rather) than"
    r"|at (?:least|most)|between|or (?:so|more|less|fewer)|instead|unknown|unsure|cannot|up to|over|under"
    r"|hardly|unlikely|anything|everything|something|except|almost|nearly)\b|n['’]t\b"
)


class Statement(NamedTuple):
    """name: what stands on the left, without spaces; None without one. values: what it is said to be, in order."""

    name: str | None
    values: list[str]


def hedged(reference: str, answer: str) -> bool:
    """Whether an answer has a word that takes it back or leaves it open, and the reference does not."""
    words = {match.group().lower() for match in _HEDGE.finditer(answer.lower())}
    return bool(words - {match.group().lower() for match in _HEDGE.finditer(reference.lower())})


def read_statement(text: str) -> Statement | None:
    """Name and values of an answer; None for an equation that is no value of anything."""
    head = split(text, _APPROXIMATELY)[0]
    if len(head) > 1:  # the exact value stands before the approximate one
        text = head[1] if is_name(head[0]) else head[0]
    if member := _MEMBER.match(text):
        text = text[member.end() :]
    sides = split(text, _EQUALS)[0]
    if sides and not sides[0]:  # "= 3"
        sides = sides[1:]
    if not sides or not all(sides):
        return None
    if len(sides) == 1:
        return Statement(None, sides)
    if is_name(sides[0]) or is_quantity(sides[0]):
        return Statement("".join(sides[0].split()), sides[1:])
    return Statement(None, sides) if all(map(is_constant, sides)) else None


def last_value_of(text: str) -> str:
    """The last value that a statement gives; the text itself where it is an equation."""
    statement = read_statement(text)
    return statement.values[-1] if statement else text


def is_name(side: str) -> bool:
    """Whether the left side of an equation names what the right side is the value of."""
    if _NAME.fullmatch(side) or side in ("e", "i"):
        return True
    applied = _APPLIED.match(side)
    return applied is not None and closing(side, applied.end()) == len(side) - 1


def is_quantity(side: str) -> bool:
    """Whether a left side is what a problem asks the value of: m + n, ab, a^2 + b^2; not x^2 + y^2."""
    letters = {*_LETTERS.findall(re.sub(r"\\[A-Za-z]+", " ", re.sub(r"(?<=[A-Za-z])(?=[A-Za-z])", " ", side)))}
    plain = re.fullmatch(r"(?:[A-Za-z]|_\{\w+\}|[ +\-/]|\\cdot|\\times|\\frac|[{}()])+", side) is not None
    return len(letters) > 1 and (plain or not letters & _EQUATION_VARIABLES)


def is_constant(side: str) -> bool:
    """Whether a formula has no variables; e and i are numbers."""
    side = re.sub(r"\\text\{[^{}]*\}|\\[A-Za-z]+", " ", side)
    return bool(side.strip()) and not re.search(r"[A-DF-HJ-Za-df-hj-z]", side)


_RELATION = re.compile(r"<|>|\\le(?![A-Za-z])|\\ge(?![A-Za-z])|\\ne(?![A-Za-z])")
_VARIABLE = re.compile(rf"{_SYMBOL}(?: ?\([A-Za-z]\))?")
_SET_BUILDER = re.compile(
    rf"\\\{{ ?({_SYMBOL})(?: ?\\in ?(?:\\mathbb\{{R\}}|\\text\{{R\}}))? ?(?:\||:|\\colon) ?(.*?) ?\\\}}"
)


def interval(text: str) -> str | None:
    r"""An inequality of one variable as an interval: 0 < x \le 2 as (0,2]; None for any other text."""
    if builder := _SET_BUILDER.fullmatch(text):
        text = builder[2]
    sides, relations = split(text, _RELATION)
    if len(sides) == 2 and _VARIABLE.fullmatch(sides[1]) and is_constant(sides[0]):
        sides, relations = (
            sides[::-1],
            [{"<": ">", ">": "<", r"\le": r"\ge", r"\ge": r"\le"}.get(relations[0], relations[0])],
        )
    if len(sides) == 2 and _VARIABLE.fullmatch(sides[0]) and is_constant(sides[1]):
        bound = sides[1]
        return {
            "<": rf"(-\infty,{bound})", ">": rf"({bound},\infty)", r"\le": rf"(-\infty,{bound}]", r"\ge":
            rf"[{bound},\infty)",
        }.get(relations[0], rf"(-\infty,{bound})\cup({bound},\infty)")  # fmt: skip
    if len(sides) == 3 and _VARIABLE.fullmatch(sides[1]) and is_constant(sides[0]) and is_constant(sides[2]):
        if {relations[0], relations[1]} <= {">", r"\ge"}:
            sides, relations = sides[::-1], [r.replace(">", "<").replace(r"\ge", r"\le") for r in reversed(relations)]
        if {relations[0], relations[1]} <= {"<", r"\le"}:
            return f"{'(' if relations[0] == '<' else '['}{sides[0]},{sides[2]}{')' if relations[1] == '<' else ']'}"
    return None
