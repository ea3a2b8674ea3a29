r"""Math-Verify's verdict on two formulas, and two rules behind it. It runs in the workers only: SymPy may hang or swell.

- "exact": Math-Verify rounds to six decimals, and compares fifteen digits. MATH's answers are exact: \pi is not
  3.14159265358979, \frac{1}{2004!} is not \frac{1}{2006!}.
- "real-values": SymPy takes no symbol for positive, so that 1/\sqrt{n} is not \sqrt{1/n} to it. Two formulas of the
  same symbols are equal if they are equal at every tried point at which both are real, to thirty digits.
"""

from __future__ import annotations

import functools
import logging
import re
from fractions import Fraction
from typing import Any

_DECIMAL = re.compile(r"(?<![\d.])\d*\.\d+")
# Points for up to six symbols, in the order of their names; both signs, no special values.
_POINTS = ((0.7312, 1.3717, 2.1313, 0.4179, 1.9171, 3.3337), (2.6191, 0.3571, 1.1239, 3.0717, 0.5923, 1.7177),
           (-1.4143, 2.2361, -0.5772, 1.2021, -2.6651, 0.9159), (3.3598, -1.3063, 0.7642, -2.8077, 1.1866, -0.6434),
           (-0.2614, -1.6449, -3.1419, -0.8346, -1.0986, -2.3025), (5.2527, 4.6692, 6.0221, 7.3891, 4.1327, 5.6704))  # fmt: skip


def equivalent(reference: str, answer: str) -> tuple[bool, str]:
    """Whether two normalised answers are equal, and the rule that decided."""
    from math_verify import verify

    golds, given = _parse(reference), _parse(answer)
    if not golds or not given:
        return False, "math-verify"
    try:
        exact = _same_number(golds[0], given[0])  # first: SymPy may take for ever over log(2) and -987654321
        if exact is not None:
            return exact, "exact"
        if verify(golds, given, timeout_seconds=None, allow_set_relation_comp=True, raise_on_error=True):
            return True, "math-verify"
        return (True, "real-values") if _same_real_values(golds[0], given[0]) else (False, "math-verify")
    except MemoryError:
        raise
    except Exception:  # what SymPy cannot compare, it does not know to be equal
        return False, "math-verify"


@functools.lru_cache(maxsize=1024)
def _parse(text: str) -> list[Any]:
    """What Math-Verify reads in one normalised answer; empty if nothing. Its own timeouts are off: the pool has one."""
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse
    from sympy import I

    logging.getLogger("math_verify").setLevel(logging.ERROR)
    text = _DECIMAL.sub(lambda decimal: _fraction(Fraction(decimal.group())), text)
    # Units are read in units.py; Math-Verify would take the c of a + b + c for one.
    normalization = NormalizationConfig(basic_latex=True, malformed_operators=True, nits=True, boxed="none")
    config = LatexExtractionConfig(boxed_match_priority=-1, normalization_config=normalization)
    parsed = parse(f"${text}$", [config], fallback_mode="no_fallback", parsing_timeout=0)
    # Math-Verify takes i for a variable.
    return [e.subs({name: I for name in e.free_symbols if str(name) == "i"}) for e in parsed]


def _fraction(value: Fraction) -> str:
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}" if value.denominator > 1 else str(value.numerator)


def _same_number(gold: Any, given: Any) -> bool | None:
    """Whether two numbers are the same to thirty digits; None if they are not both numbers."""
    from sympy import Expr

    if not isinstance(gold, Expr) or not isinstance(given, Expr):
        return None
    if gold == given:
        return True
    if gold.free_symbols or given.free_symbols:
        return None
    gold, given = gold.doit(), given.doit()
    if gold.is_Rational and given.is_Rational:
        return bool(gold == given)
    values = gold.evalf(60), given.evalf(60)
    if not all(value.is_number and value.is_finite for value in values):
        return None
    return bool(abs(values[0] - values[1]) <= 1e-30 * max(abs(values[0]), abs(values[1])))


def _same_real_values(gold: Any, given: Any) -> bool:
    """Whether two formulas agree at all points at which both are real; four such points are needed."""
    from sympy import Expr, Rational

    if not isinstance(gold, Expr) or not isinstance(given, Expr) or gold.free_symbols != given.free_symbols:
        return False
    symbols = sorted(gold.free_symbols, key=str)
    if not 1 <= len(symbols) <= len(_POINTS[0]):
        return False
    compared = 0
    points = [[sign * value for value in point] for point in _POINTS for sign in (1, -1)]
    for point in points:
        place: Any = dict(zip(symbols, map(Rational, map(str, point)), strict=False))
        values = [formula.subs(place).evalf(40) for formula in (gold, given)]
        if not all(value.is_number and value.is_real and value.is_finite for value in values):
            continue
        if abs(values[0] - values[1]) > 1e-30 * max(1, abs(values[0]), abs(values[1])):
            return False
        compared += 1
    return compared >= 4
