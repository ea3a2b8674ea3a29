r"""Reads the LaTeX of one number or formula into a tree, and writes a tree as LaTeX that can be read in one way only.

A tree is a Fraction, a name ("x", "x_1", "\pi"), or a tuple of an operation and its operands:
("+", a, b) ("*", a, b) ("/", a, b) ("^", a, b) ("-", a) ("!", a) ("root", n, a) ("abs", a) ("binom", n, k) ("deg", a)
("log", base, a), and ("sin", a) and the like. What is not in this grammar raises Unreadable: no guess is made.

Conventions of MATH: 2\frac{1}{2} is a mixed number; \sin 2x is sin(2x); \frac12 is 1/2; decimals are exact.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TypeAlias, Union

Tree: TypeAlias = Union[Fraction, str, tuple["str | Tree", ...]]  # noqa: UP007  (a recursive alias needs a string)

FUNCTIONS = frozenset(("sin", "cos", "tan", "sec", "csc", "cot", "arcsin", "arccos", "arctan", "ln", "exp"))
_GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi "
    "varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega infty"
)
NAMES = frozenset("\\" + name for name in _GREEK.split())
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\.\d+|\S", re.ASCII)
_REPEATING = re.compile(r"(\d*)\.(\d*) ?\\overline ?\{(\d+)\}", re.ASCII)
_OPERATORS = {"*": "*", r"\cdot": "*", r"\times": "*", "/": "/", r"\div": "/", ":": "/"}
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


class Unreadable(ValueError):  # noqa: N818
    """The text is not in the grammar."""


def read_expression(text: str) -> Tree:
    """The tree of a cleaned text (latex.clean). Raises Unreadable."""
    reader = _Reader(_TOKEN.findall(_REPEATING.sub(_repeating, text)))
    tree = reader.sum()
    if reader.next:
        raise Unreadable(f"{reader.next} was not expected")
    return tree


def _repeating(decimal: re.Match[str]) -> str:
    r"""0.1\overline{6} as 16/90 - 1/90, in LaTeX."""
    whole, start, period = decimal.groups()
    nines = (10 ** len(period) - 1) * 10 ** len(start)
    value = int(whole + start + period) - int((whole + start) or "0")
    return to_latex(Fraction(value, nines))


class _Reader:
    """A recursive-descent reader, one method a level of precedence."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens[::-1]

    @property
    def next(self) -> str:
        return self._tokens[-1] if self._tokens else ""

    def take(self, expected: str | None = None) -> str:
        if not self._tokens or (expected is not None and self.next != expected):
            raise Unreadable(f"{self.next or 'the end'} where {expected or 'more'} was expected")
        return self._tokens.pop()

    def sum(self) -> Tree:
        tree = self.product()
        while self.next in ("+", "-"):
            sign = self.take()
            right = self.product()
            tree = ("+", tree, right if sign == "+" else ("-", right))
        return tree

    def product(self) -> Tree:
        if self.next in ("+", "-"):
            sign = self.take()
            return ("-", self.product()) if sign == "-" else self.product()
        tree = self.juxtaposed()
        while self.next in _OPERATORS:
            operator = _OPERATORS[self.take()]
            right = ("-", self.juxtaposed()) if self.next == "-" and self.take() else self.juxtaposed()
            tree = (operator, tree, right)
        return tree

    def juxtaposed(self) -> Tree:
        r"""Factors with no sign between them: 3x\sqrt{2}, and the mixed number 2\frac{1}{2}."""
        tree = last = self.power()
        while self._starts_factor():
            if isinstance(last, Fraction) and _starts_number(self.next):
                raise Unreadable("digits that a space parts are no number, and no product that anybody means")
            is_fraction = self.next == r"\frac"
            right = self.power()
            mixed = is_fraction and tree is last and _is_whole(tree) and _is_fraction_of_numbers(right)
            tree, last = ("+" if mixed else "*", tree, right), right
        return tree

    def _starts_factor(self) -> bool:
        token = self.next
        known = token in (r"\frac", r"\sqrt", r"\binom", r"\log", "(", "[", "{") or token in NAMES
        return known or token.isalpha() or token[1:] in FUNCTIONS or _starts_number(token)

    def power(self) -> Tree:
        tree = self.atom()
        while self.next in ("^", "!", r"\degree"):
            mark = self.take()
            tree = ("^", tree, self.argument()) if mark == "^" else ("!" if mark == "!" else "deg", tree)
        return tree

    def atom(self) -> Tree:
        token = self.take()
        if _starts_number(token) or (token[0] == "." and len(token) > 1):
            return Fraction(token)
        if token.isalpha() and token.isascii():
            return token + self.subscript()
        if token in NAMES:
            return token + self.subscript()
        if token in _CLOSERS:
            tree = self.sum()
            self.take(_CLOSERS[token])
            return tree
        if token == "|":
            tree = self.sum()
            self.take("|")
            return ("abs", tree)
        return self.command(token)

    def command(self, token: str) -> Tree:
        if token in (r"\frac", r"\binom"):
            return ("/" if token == r"\frac" else "binom", self.argument(), self.argument())
        if token == r"\sqrt":
            degree: Tree = Fraction(2)
            if self.next == "[":
                self.take()
                degree = self.sum()
                self.take("]")
            return ("root", degree, self.argument())
        if token == r"\log":
            self.take("_")  # without a base, the base is anybody's guess
            return ("log", self.argument(), self.operand())
        if token[1:] in FUNCTIONS:
            power = None
            if self.next == "^":
                self.take()
                power = self.argument()
            if power == ("-", Fraction(1)):
                raise Unreadable("an inverse function")
            value: Tree = (token[1:], self.operand())
            return value if power is None else ("^", value, power)
        raise Unreadable(f"{token} is not known")

    def operand(self) -> Tree:
        """What a function is applied to: brackets, or the factors that follow up to a sign or another function."""
        if self.next in ("(", "{"):
            return self.power()
        tree = self.power()
        while self._starts_factor() and self.next not in ("(", "[", r"\log") and self.next[1:] not in FUNCTIONS:
            tree = ("*", tree, self.power())
        return tree

    def argument(self) -> Tree:
        """One argument of a command: braces, or a single token, of a number its first digit alone."""
        token = self.next
        if token == "{":
            return self.atom()
        if _starts_number(token) and len(token) > 1:
            # \frac12 is 1/2; but x^12 and \sqrt12 are as likely a slip as TeX, and are not read.
            if not token.isdigit() or len(token) > 2:
                raise Unreadable(f"{token} as an argument without braces")
            self._tokens[-1:] = [token[1], token[0]]
        if token == "-" or (token.startswith("\\") and token not in NAMES):
            raise Unreadable(f"{token} as an argument without braces")
        return self.atom()

    def subscript(self) -> str:
        if self.next != "_":
            return ""
        self.take()
        if self.next != "{":
            return "_" + self.take()
        self.take()
        name = self.take()
        self.take("}")
        return "_" + name


def _starts_number(token: str) -> bool:
    return token[:1].isdecimal() and token.isascii()


def _is_whole(tree: Tree) -> bool:
    return isinstance(tree, Fraction) and tree.denominator == 1


def _is_fraction_of_numbers(tree: Tree) -> bool:
    return isinstance(tree, tuple) and tree[0] == "/" and _is_whole(tree[1]) and _is_whole(tree[2])


def names_of(tree: Tree) -> frozenset[str]:
    """The variables of a tree: infinity is one, for it has no value; pi, e and i are none."""
    if isinstance(tree, str):
        return frozenset() if tree in (r"\pi", "e", "i") else frozenset((tree,))
    if isinstance(tree, Fraction):
        return frozenset()
    return frozenset().union(*(names_of(part) for part in tree[1:]))


def to_latex(tree: Tree) -> str:
    """LaTeX in which every group is braced or bracketed, decimals are fractions and degrees are radians."""
    if isinstance(tree, Fraction):
        if tree.denominator == 1:
            return str(tree.numerator)
        return rf"\frac{{{tree.numerator}}}{{{tree.denominator}}}"
    if isinstance(tree, str):
        base, _, subscript = tree.partition("_")
        return rf"{base}_{{{subscript}}}" if subscript else base
    operation, *operands = tree
    a, *rest = (to_latex(operand) for operand in operands)
    b = rest[0] if rest else ""
    match operation:
        case "+":
            return f"{a} + {b}" if not b.startswith("-") else f"{a} {b}"
        case "-":
            return f"-({a})"
        case "*":
            return rf"({a}) \cdot ({b})"
        case "/":
            return rf"\frac{{{a}}}{{{b}}}"
        case "^":
            return rf"({a})^{{{b}}}"
        case "root":
            return rf"\sqrt{{{b}}}" if a == "2" else rf"\sqrt[{a}]{{{b}}}"
        case "binom":
            return rf"\binom{{{a}}}{{{b}}}"
        case "log":
            return rf"\log_{{{a}}}({b})"
        case "abs":
            return f"|{a}|"
        case "!":
            return f"({a})!"
        case "deg":
            return rf"({a}) \cdot \frac{{\pi}}{{180}}"
        case _:
            return rf"\{operation}({a})"
