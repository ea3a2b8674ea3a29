"""The value of an expression: exact where it is rational, else a complex number with a bound on its error.

Two expressions whose values at the same point differ by more than their errors are not equal. That is a proof, and a
cheap one: most wrong answers never reach SymPy. The converse is none: equal values are for Math-Verify to confirm.
"""

from __future__ import annotations

import cmath
import math
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple, TypeAlias

from scorebench.grading.math.expressions import Tree, names_of

# Four units in the last place of a double: more than the error of any one operation here.
EPSILON = 2.0**-50
# More than what is lost where a double underflows to zero.
TINY = 1e-300
# Larger exact numbers than this (in bits) are not computed.
MAX_BITS = 131_072
MAX_ROOT = 64
MAX_FACTORIAL = 5_000


class Undecided(ArithmeticError):  # noqa: N818
    """No value can be given: undefined, or not known well enough."""


class TooLarge(Undecided):
    """A number beyond the limits below, such as a tower of powers: nothing that SymPy should be asked about either."""


class Approximate(NamedTuple):
    """A complex number that is no further than `error` from the true one."""

    number: complex
    error: float


Value: TypeAlias = Fraction | Approximate


def values(tree: Tree, points: int = 3) -> tuple[Value, ...]:
    """The values at fixed points; one value for an expression without variables. Raises Undecided, or TooLarge."""
    try:
        return tuple(_value(tree, point) for point in range(points if names_of(tree) else 1))
    except OverflowError as error:
        raise Undecided("beyond the range of a double") from error
    except (ZeroDivisionError, ValueError) as error:
        raise Undecided(str(error)) from error


def differ(a: Value, b: Value) -> bool:
    """Whether two values are certainly not equal."""
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a != b
    try:
        a, b = _approximate(a), _approximate(b)
    except OverflowError:  # an exact number beyond the doubles; the other one is within them
        return True
    return abs(a.number - b.number) > 2 * (a.error + b.error)


def _value(tree: Tree, point: int) -> Value:
    if isinstance(tree, Fraction):
        return tree
    if isinstance(tree, str):
        return _CONSTANTS[tree] if tree in _CONSTANTS else _coordinate(tree, point)
    operation, *operands = tree
    compute = _OPERATIONS.get(str(operation))
    if compute is None:
        raise Undecided(f"{operation} has no value")
    return compute(*(_value(operand, point) for operand in operands))


def _coordinate(name: str, point: int) -> Fraction:
    """The value that a variable has at a point: between 0 and 2, and different for different names."""
    return Fraction(1 + zlib.crc32(f"{name} {point}".encode()) % 1999, 1000)


def _approximate(value: Value) -> Approximate:
    if isinstance(value, Approximate):
        return value
    number = float(value)  # OverflowError is turned into Undecided by values()
    return Approximate(number, abs(number) * EPSILON + TINY)


def _rounded(number: complex, error: float) -> Approximate:
    """A computed number with the error that it inherits and that of its own rounding."""
    if not cmath.isfinite(number) or not math.isfinite(error):
        raise Undecided("beyond the range of a double")
    return Approximate(number, error + abs(number) * EPSILON + TINY)


def _add(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return _bounded(a + b)
    a, b = _approximate(a), _approximate(b)
    return _rounded(a.number + b.number, a.error + b.error)


def _negate(a: Value) -> Value:
    return -a if isinstance(a, Fraction) else Approximate(-a.number, a.error)


def _multiply(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return _bounded(a * b)
    a, b = _approximate(a), _approximate(b)
    error = abs(a.number) * b.error + abs(b.number) * a.error + a.error * b.error
    return _rounded(a.number * b.number, error)


def _divide(a: Value, b: Value) -> Value:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return _bounded(a / b)
    a, b = _approximate(a), _approximate(b)
    if abs(b.number) <= 2 * b.error:
        raise Undecided("a divisor that may be zero")
    quotient = a.number / b.number
    return _rounded(quotient, (a.error + abs(quotient) * b.error) / (abs(b.number) - b.error))


def _bounded(number: Fraction) -> Fraction:
    if number.numerator.bit_length() + number.denominator.bit_length() > MAX_BITS:
        raise TooLarge(f"a number of more than {MAX_BITS} bits")
    return number


def _power(a: Value, b: Value) -> Value:
    if not isinstance(b, Fraction) or b.denominator > MAX_ROOT:
        return _exponential(_multiply(b, _logarithm(a)))
    if b.denominator != 1:
        return _power(_root(Fraction(b.denominator), a), Fraction(b.numerator))
    exponent = b.numerator
    if abs(exponent) > MAX_BITS:
        raise TooLarge(f"an exponent above {MAX_BITS}")
    if isinstance(a, Fraction):
        bits = max(a.numerator.bit_length(), a.denominator.bit_length())
        if bits > 1 and bits * abs(exponent) > MAX_BITS:
            raise TooLarge(f"a number of more than {MAX_BITS} bits")
        return a**exponent
    if exponent < 0:
        return _divide(Fraction(1), _power(a, Fraction(-exponent)))
    if exponent > 64:
        return _exponential(_multiply(b, _logarithm(a)))
    result: Value = Fraction(1)
    for _ in range(exponent):
        result = _multiply(result, a)
    return result


def _root(degree: Value, a: Value) -> Value:
    if not isinstance(degree, Fraction) or degree.denominator != 1 or not 2 <= degree.numerator <= MAX_ROOT:
        raise Undecided("a root of this degree")
    n = degree.numerator
    if isinstance(a, Fraction):
        if a < 0:
            if n != 2:
                raise Undecided("a root of a negative number is real to some, complex to others")
            return _multiply(Approximate(1j, 0.0), _root(degree, -a))
        exact = Fraction(_whole_root(a.numerator, n), _whole_root(a.denominator, n))
        if exact**n == a:
            return exact
    return _exponential(_divide(_logarithm(a), degree))


def _whole_root(number: int, n: int) -> int:
    """A whole number near the n-th root; exact where the root is whole and not very large."""
    return math.isqrt(number) if n == 2 else round(number ** (1 / n)) if number.bit_length() < 900 else 0


def _exponential(a: Value) -> Value:
    if a == 0:
        return Fraction(1)
    a = _approximate(a)
    if a.error > 0.01:
        raise Undecided("an exponent that is not known well enough")
    number = cmath.exp(a.number)
    return _rounded(number, abs(number) * 2 * a.error)


def _logarithm(a: Value) -> Value:
    if a == 1:
        return Fraction(0)
    a = _approximate(a)
    if abs(a.number) <= 2 * a.error or (a.number.real < 0 and abs(a.number.imag) <= 2 * a.error):
        raise Undecided("a logarithm near zero or near its cut")
    return _rounded(cmath.log(a.number), 2 * a.error / abs(a.number) + EPSILON)


def _real_logarithm(a: Value) -> Value:
    if _real(a).number.real <= 0:
        raise Undecided("a logarithm of no positive number")
    return _logarithm(a)


def _real(a: Value) -> Approximate:
    a = _approximate(a)
    if abs(a.number.imag) > 0:
        raise Undecided("a function of a complex number")
    return a


def _wave(function: Callable[[float], float]) -> Callable[[Value], Value]:
    """Sine or cosine, whose slope is at most 1."""

    def compute(a: Value) -> Value:
        a = _real(a)
        return _rounded(function(a.number.real), a.error + EPSILON)

    return compute


_sine, _cosine = _wave(math.sin), _wave(math.cos)


def _arc_tangent(a: Value) -> Value:
    a = _real(a)
    return _rounded(math.atan(a.number.real), a.error)


def _absolute(a: Value) -> Value:
    return abs(a) if isinstance(a, Fraction) else Approximate(abs(a.number), a.error)


def _count(a: Value, operation: str) -> int:
    """A whole number that is not negative, and not too large for a factorial."""
    if not isinstance(a, Fraction) or a.denominator != 1 or a < 0:
        raise Undecided(f"a {operation} of no whole number")
    if a > MAX_FACTORIAL:
        raise TooLarge(f"a {operation} above {MAX_FACTORIAL}")
    return a.numerator


def _factorial(a: Value) -> Value:
    return Fraction(math.factorial(_count(a, "factorial")))


def _binomial(n: Value, k: Value) -> Value:
    return Fraction(math.comb(_count(n, "binomial"), _count(k, "binomial")))


_CONSTANTS: dict[str, Value] = {
    r"\pi": Approximate(math.pi, EPSILON),
    "e": Approximate(math.e, EPSILON),
    "i": Approximate(1j, 0.0),
}
_OPERATIONS: dict[str, Callable[..., Value]] = {
    "+": _add,
    "-": _negate,
    "*": _multiply,
    "/": _divide,
    "^": _power,
    "root": _root,
    "abs": _absolute,
    "!": _factorial,
    "binom": _binomial,
    "deg": lambda a: _multiply(a, Approximate(math.pi / 180, EPSILON)),
    "log": lambda base, a: _divide(_real_logarithm(a), _real_logarithm(base)),
    "ln": _real_logarithm,
    "exp": _exponential,
    "sin": _sine,
    "cos": _cosine,
    "tan": lambda a: _divide(_sine(a), _cosine(a)),
    "sec": lambda a: _divide(Fraction(1), _cosine(a)),
    "csc": lambda a: _divide(Fraction(1), _sine(a)),
    "cot": lambda a: _divide(_cosine(a), _sine(a)),
    "arctan": _arc_tangent,
}
