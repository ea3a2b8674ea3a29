"""How a share is written in percent: by one rule in tables, plots, exports, pages and lines of progress."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal


def percent(fraction: float, signed: bool = False) -> str:
    """A fraction of 1 in percent with one decimal, as the paper prints it: halves go away from zero, 0.0 is unsigned.

    "-" for nan. Rounded in decimal arithmetic, from the shortest decimal form, so that 0.0005 is 0.1 and not 0.0.
    """
    if math.isnan(fraction):
        return "-"
    figure = Decimal(repr(round(float(fraction) * 100, 9))).quantize(Decimal("0.1"), ROUND_HALF_UP)
    if not figure:
        return "0.0"
    return f"{figure:+}" if signed else f"{figure}"
