r"""Whether two single values are the same, without units and names: numbers, bases, percent, rows of letters.

Here are also the two types that all files of rules share. compare.py lists the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

# Asks Math-Verify whether two formulas are equal, and by which rule.
Ask = Callable[[str, str], tuple[bool, str]]


class Decision(NamedTuple):
    """Whether two answers are the same, and the name of the rule that decided."""

    same: bool
    rule: str


_THOUSANDS = re.compile(r"(?<![\d.,(\[{])\d{1,3}(?:,\d{3})+(?![\d,])")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)")
_FRACTION = re.compile(r"([-+]?)(?:\\frac\{([-+]?\d+)\}\{([-+]?\d+)\}|(\d+)/(\d+))")
_BASED = re.compile(r"(?:\\text\{)?(-?[0-9A-Z]+(?:\.[0-9A-Z]+)?)\}?_\{(\d+)\}")
_CAPITALS = re.compile(r"[A-Z]{2,}|[a-z]{4,}")


def compare_values(gold: str, given: str, ask: Ask) -> Decision:
    """The decision on two values; Math-Verify is asked where no rule applies."""
    gold, given = (_THOUSANDS.sub(lambda number: number[0].replace(",", ""), text) for text in (gold, given))
    if squash(gold) == squash(given):
        return Decision(True, "same-text")
    if _DIGITS_APART.search(gold + " | " + given) and not _BASED.search(gold + given):
        return Decision(False, "digits-apart")
    if (same := _same_in_base(gold, given)) is not None:
        return Decision(same, "base")
    if r"\%" in gold + given:
        return Decision(_same_percent(gold, given, ask), "percent")
    numbers = plain_number(gold), plain_number(given)
    if None not in numbers:
        return Decision(numbers[0] == numbers[1], "number")
    if (same := _same_letters(gold, given)) is not None:
        return Decision(same, "letters")
    return Decision(*ask(gold, given))


_DIGITS_APART = re.compile(r"\d\s+\d")
_SPACE = re.compile(r"(?<!\d)\s+|\s+(?!\d)")


def squash(text: str) -> str:
    """The text without spaces. A space between two digits is kept: 1 2 is not 12."""
    return _SPACE.sub("", text.strip())


def plain_number(text: str) -> Fraction | None:
    r"""The value of a plain number, \frac{1}{2} and 1/2 included; None for anything else."""
    text = squash(text)
    if _NUMBER.fullmatch(text):
        return Fraction(text.rstrip("."))
    fraction = _FRACTION.fullmatch(text)
    if not fraction:
        return None
    top, bottom = fraction[2] or fraction[4], fraction[3] or fraction[5]
    return Fraction(int(top), int(bottom)) * (-1 if fraction[1] == "-" else 1) if int(bottom) else None


def _same_in_base(gold: str, given: str) -> bool | None:
    """Whether two numbers have the same digits, and the same base where both name one; None if neither names one."""
    texts = ["".join(text.split()) for text in (gold, given)]
    bases = [_BASED.fullmatch(text) for text in texts]
    if not any(bases):
        return None
    digits = [base[1] if base else text for base, text in zip(bases, texts, strict=True)]
    named = {base[2] for base in bases if base}
    return digits[0].lstrip("0") == digits[1].lstrip("0") and len(named) == 1


def _same_percent(gold: str, given: str, ask: Ask) -> bool:
    r"""Whether two values are the same, of which one or both have a percent sign: 10\% is 10, and it is 0.1."""
    values = [text.replace(r"\%", "").strip() for text in (gold, given)]
    if compare_values(values[0], values[1], ask).same:
        return True
    if r"\%" in gold and r"\%" in given:
        return False
    percent, value = values if r"\%" in gold else reversed(values)
    number, other = plain_number(percent), plain_number(value)
    if number is not None and other is not None:
        return number / 100 == other
    hundredth = rf"\frac{{{percent}}}{{100}}"
    return ask(hundredth, value)[0] if r"\%" in gold else ask(value, hundredth)[0]


def _same_letters(gold: str, given: str) -> bool | None:
    """Whether two rows of letters (QLSX, ABC) are the same; None if they are none: xy may be a product."""
    texts = [re.sub(r"\\(?:text|overline|angle)|[{} ]", "", text) for text in (gold, given)]
    if all(re.fullmatch("[A-Za-z]+", text) for text in texts) and any(map(_CAPITALS.fullmatch, texts)):
        return texts[0] == texts[1]
    return None
