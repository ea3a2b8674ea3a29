r"""What is too much for SymPy, found in the text alone and in linear time, so that most hostile answers cost nothing.

MATH's longest reference has 159 characters, its deepest nesting is 5 and its greatest exponent 2,008; the limits leave
room above them. What is large only once it is computed is stopped by the limits of the worker that computes it.
"""

from __future__ import annotations

import math
import re

from scorebench.grading.math.brackets import nesting

MAX_LENGTH = 1_000
MAX_NESTING = 24

_HUGE_POWER = re.compile(r"(?:\^|\*\*) ?(?:\\?[a-z]+ ?)?[{(]* ?[-+]? ?\d{5}")
_HUGE_FACTORIAL = re.compile(r"\d{5}[ )}]*!|! ?[)}]* ?!")
_TOWER = re.compile(r"(?:\^ ?[{(][^{}()^]{0,8}){2}\^|(?:\^ ?\d+ ?){2}\^")
_POWER_OF_POWER = re.compile(r"\^ ?\{? ?(\d{1,9}) ?\^ ?\{? ?(\d{1,9})")


def over_limit(text: str) -> str | None:
    """Why a text is not given to SymPy; None if it may be."""
    if len(text) > MAX_LENGTH:
        return f"longer than {MAX_LENGTH} characters"
    if nesting(text) > MAX_NESTING:
        return f"brackets nested deeper than {MAX_NESTING}"
    if _HUGE_POWER.search(text):
        return "an exponent of five digits or more"
    powers = [(int(base), int(exponent)) for base, exponent in _POWER_OF_POWER.findall(text)]
    if _TOWER.search(text) or any(base > 1 and exponent * math.log10(base) > 4 for base, exponent in powers):
        return "a tower of powers"
    if _HUGE_FACTORIAL.search(text):
        return "a factorial above 9999!"
    return None
