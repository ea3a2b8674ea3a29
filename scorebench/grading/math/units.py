r"""Units of an answer: \text{ cm}, \$, \%, degrees, a.m.

In MATH a unit may be left out, but not be another one: 5 is 5 cm, and 5 m is not. Words that are no known unit
("boxes", "ways", "square units") name what was counted and are ignored.
"""

from __future__ import annotations

import re

_SPELLINGS = {
    "cm": "centimeter centimetre",
    "mm": "millimeter millimetre",
    "km": "kilometer kilometre",
    "m": "meter metre",
    "inch": "in inches",
    "foot": "ft feet",
    "yard": "yd",
    "mile": "mi",
    "kg": "kilogram",
    "gram": "g gm",
    "pound": "lb",
    "ounce": "oz",
    "gallon": "gal",
    "liter": "l litre",
    "second": "s sec",
    "minute": "min",
    "hour": "h hr",
    "day": "",
    "week": "",
    "month": "",
    "year": "yr",
    "dollar": "usd",
    "cent": "",
    "euro": "",
    "degree": "deg",
    "radian": "rad",
    "percent": "",
    "mph": "mi/hr mile/hour mi/h",
    "acre": "",
    "am": "",
    "pm": "",
}
_UNITS = {spelling: unit for unit, others in _SPELLINGS.items() for spelling in (unit, *others.split())}
_POWERS = {"square": "2", "sq": "2", "cubic": "3", "cu": "3"}

_WORDS = r"(?P<words>[A-Za-z][A-Za-z. ]*)"
_POWER = r"(?: ?\^ ?\{? ?(?P<power>[23]) ?\}?)?"
_TEXT_UNIT = re.compile(r" ?\\text ?\{ ?(?P<words>[^{}]*?)(?: ?\^ ?(?P<inner>[23]))? ?\}" + _POWER + r"$")
_BARE_UNIT = re.compile(r"(?<=[\d}]) ?" + _WORDS + _POWER + r"$")
_ANGLE_FUNCTION = re.compile(r"\\(?:arc)?(?:sin|cos|tan|sec|csc|cot)(?![A-Za-z])")


def split_unit(text: str) -> tuple[str, str]:
    """A cleaned text without its unit, and the unit's one name ("cm", "inch^2"); "" where it has none that is known."""
    if text.endswith(r"\%"):
        return text[:-2].strip(), "percent"
    if text.endswith(r"\degree") and not _ANGLE_FUNCTION.search(text):
        return text.removesuffix(r"\degree").strip(), "degree"
    if (money := re.match(r"([-+]?) ?\\\$ ?(?=[\d.\\(])", text)) is not None:
        return money[1] + text[money.end() :], "dollar"
    if (written := _TEXT_UNIT.search(text)) is not None and written.start() > 0:
        unit = unit_name(written["words"], written["power"] or written["inner"])
        return text[: written.start()].strip(), unit
    # Without \text, letters are variables unless they are a unit's name.
    bare = _BARE_UNIT.search(text)
    if bare is not None and len(bare["words"]) > 1 and (unit := unit_name(bare["words"], bare["power"])):
        return text[: bare.start()].strip(), unit
    return text, ""


def unit_name(words: str, power: str | None = None) -> str:
    """The one name of a unit, or "" for words that are no unit."""
    names = words.lower().replace(".", "").replace(" per ", "/").split()
    if len(names) > 1 and names[0] in _POWERS:
        power = _POWERS[names.pop(0)]
    if len(names) != 1:
        return ""
    singular = "/".join(name if name in _UNITS else name.removesuffix("s") for name in names[0].split("/"))
    unit = _UNITS.get(singular, "")
    return f"{unit}^{power}" if unit and power else unit


def clash(a: str, b: str) -> bool:
    """Whether two answers with these units cannot be the same."""
    return a != b and a != "" and b != ""
