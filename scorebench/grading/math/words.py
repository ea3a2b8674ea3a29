r"""Answers that are no formulas: the letter of a choice, a time of day, a ratio, words.

Each rule takes two normalised answers. It returns whether they are the same, or None where it does not apply.
"""

from __future__ import annotations

import re
from fractions import Fraction

from scorebench.grading.math.normalise import NUMBER_WORDS
from scorebench.grading.math.statements import last_value_of
from scorebench.grading.math.units import split_unit
from scorebench.grading.math.values import plain_number

_CHOICE = re.compile(
    r"\(? ?(?:\\text\{ ?\(? ?([A-Ha-h]) ?[).:]* ?\}|\(([A-Ha-h])\)|([A-H])(?=[.:)] ?|$)) ?[).:]* ?(.*)"
)
_TIME = re.compile(
    r"(?:\\text\{)? ?(\d{1,2}) ?:? ?(\d*)(?: ?: ?\d+)? ?\}? ?(?:\\text\{)? ?([ap])\.? ?m\.? ?\}?", re.IGNORECASE
)
_RATIO = re.compile(r"(\d+(?:\.\d+)?) ?(?::|\\colon|\\text\{to\}|to) ?(\d+(?:\.\d+)?)")
_WORD = re.compile(r"\\text\{(?=[^{}]*[A-Za-z]{2})|(?<![\\A-Za-z])[A-Za-z]{4,}(?![A-Za-z])")
_BETWEEN_WORDS = re.compile(r"(?:\\text|[{}\s().,;'\"-]|\b(?:and|or|the|a|an)\b)+")
_DIGITS = {word: str(number) for number, word in enumerate(NUMBER_WORDS)}


def choice(reference: str, answer: str) -> bool | None:
    """Letters of a multiple choice. The answer may give the value behind its letter; then the letter decides."""
    gold, given = _CHOICE.fullmatch(reference), _CHOICE.fullmatch(answer)
    if not gold or not given or gold[4]:
        return None
    letters = [match[1] or match[2] or match[3] for match in (gold, given)]
    if letters[0].islower() and r"\text" not in reference:
        return None
    return letters[0].upper() == letters[1].upper()


def without_choice(answer: str) -> str:
    """The value behind the letter of a choice, as the 5 of (C) 5; the answer itself where there is no such letter."""
    match = _CHOICE.fullmatch(answer)
    return (match and match[4]) or answer


def clock(reference: str, answer: str) -> bool | None:
    """Times of day and ratios."""
    are_times = [_TIME.fullmatch(text) is not None for text in (reference, answer)]
    if any(are_times):
        times = [re.sub(r"[^\d:apm]", "", text.lower().replace("text", "")) for text in (reference, answer)]
        if not all(are_times):  # the half of the day may be left out
            times = [time.rstrip("apm") for time in times]
        return times[0] == times[1]
    return _same_ratio(last_value_of(reference), last_value_of(answer))


def _same_ratio(gold: str, given: str) -> bool | None:
    """Whether a ratio and a ratio or number have the same value: 3:4, 6:8, 3/4. None if neither text is a ratio."""
    ratios = _RATIO.fullmatch(gold), _RATIO.fullmatch(given)
    if not any(ratios):
        return None
    if ratios[0] and ratios[1] and [*map(Fraction, ratios[0].groups())] == [*map(Fraction, ratios[1].groups())]:
        return True  # 3:0 has no value, but is 3:0
    value = _ratio_or_number(gold)
    return value is not None and value == _ratio_or_number(given)


def _ratio_or_number(text: str) -> Fraction | None:
    ratio = _RATIO.fullmatch(text)
    if ratio is None:
        return plain_number(text)
    return Fraction(ratio[1]) / Fraction(ratio[2]) if Fraction(ratio[2]) else None


def words(reference: str, answer: str) -> bool | None:
    r"""Words by their letters: even, \text{Monday}, June 20. A unit behind a value is no word."""
    if not any(_WORD.search(text) and split_unit(text)[1] is None and "=" not in text for text in (reference, answer)):
        return None
    texts = [_BETWEEN_WORDS.sub(" ", text).split() for text in (reference, answer)]
    if not all(re.fullmatch(r"[A-Za-z\d]+", word) for text in texts for word in text):
        return None
    letters = ["".join(text).lower() for text in texts]
    return _DIGITS.get(letters[0], letters[0]) == _DIGITS.get(letters[1], letters[1])
