r"""Units: what stands behind a value and may be left out: 5 cm, 35 km/h, 12 \text{ square feet}, 28800 ways, 90^\circ.

A unit of the table that is not the reference's unit is another answer (5 m is not 5 cm); any other noun (apples, ways)
only says what was counted.
"""

from __future__ import annotations

import re

# One line a unit: its name, then the other spellings.
_TABLE = """
cm centimeter centimeters centimetre centimetres
mm millimeter millimeters
m meter meters metre metres
km kilometer kilometers kilometre kilometres
inch inches in
foot feet ft
yard yards yd
mile miles mi
mg milligram milligrams
g gram grams gm
kg kilogram kilograms
pound pounds lb lbs
ounce ounces oz
ton tons
second seconds sec secs s
minute minutes min mins
hour hours hr hrs h
day days
week weeks
month months
year years yr yrs
ml milliliter milliliters
liter liters litre litres L
gallon gallons gal
dollar dollars USD
cent cents
euro euros EUR
yen rupee rupees yuan
mph
degree degrees deg
radian radians rad
am pm
acre acres hectare hectares
newton newtons N
joule joules J
watt watts W
volt volts V
"""
_NAMES = {spelling: line.split()[0] for line in _TABLE.strip().splitlines() for spelling in line.split()}
for _own in ("yen", "yuan", "am", "pm", "acre", "hectare"):
    _NAMES[_own] = _own
_NAMES |= {"rupee": "rupee", "rupees": "rupee", "hectares": "hectare"}
_POWERS = {"square": "2", "sq": "2", "squared": "2", "cubic": "3", "cu": "3", "cubed": "3"}
_LETTERS = frozenset("mghsLNJWV")
# Words that say more than what was counted.
_NO_NOUN = re.compile(
    r"\b(?:and|or|not|no|is|are|was|if|when|where|for|than|but|to|from|with|maybe|mod|by|times|plus|minus|less|more|otherwise|each"
    r"|sin|cos|tan|log|ln|sqrt|pi|frac)\b"
)
_TOKEN = r"(?>\\text\{[^{}]*\}|\\degree(?: ?[CFK]\b)?|[A-Za-z]+\.?(?:[A-Za-z]\.)*)(?: ?\^ ?\{?-?\d\}?)?"
_TAIL = re.compile(rf"(?P<gap> ?)(?P<unit>{_TOKEN}(?: ?(?:/|\\cdot)? ?{_TOKEN})*+)$")
_VALUE_END = re.compile(r"(?:[\d})!|\]]|\\pi) ?$")
_PLAIN_VALUE = re.compile(r"-?[\d.,/]+|-?\d* ?\\frac\{\d+\}\{\d+\}")
_TRIGONOMETRY = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")
_DEGREES = re.compile(r"\(?(-?\d+(?:\.\d+)?)\)? ?\\degree")


def split_unit(text: str) -> tuple[str, str | None]:
    """The value, and the unit's name with its power ("cm2"), "" for a noun that is no unit; None where there is none.

    Inside of a trigonometric function degrees are a number: they are turned into radians.
    """
    if _TRIGONOMETRY.search(text):
        return _DEGREES.sub(r"{(\\frac{\1 \\pi}{180})}", text), None
    for start in _starts(text):
        tail = _TAIL.match(text, start)
        value = text[:start].strip()
        if tail and value and _is_unit(value, tail["gap"], tail["unit"]):
            return value, _name(tail["unit"])
    return text, None


def differ(first: str | None, second: str | None) -> bool:
    """Whether both are units of the table, and not the same one."""
    return bool(first) and bool(second) and first != second


def _starts(text: str) -> list[int]:
    r"""Where a unit may start: behind a value, at a space, a \text, a degree sign, or a letter after a digit."""
    starts = [match.start() for match in re.finditer(r" |\\text\{|\\degree|(?<=\d)[A-Za-z]", text[-120:])]
    offset = max(0, len(text) - 120)
    return [offset + start for start in starts][:40]


def _is_unit(value: str, gap: str, unit: str) -> bool:
    words = re.sub(r"\\text|[{}]", " ", unit)
    if _NO_NOUN.search(words) or (not _VALUE_END.search(value) and not unit.startswith((r"\text", r"\degree"))):
        return False
    bare = re.sub(r"\\text\{[^{}]*\}|\\degree(?: ?[CFK]\b)?", "", unit)
    for word in re.findall(r"[A-Za-z]+", bare):
        if len(word) == 1 and word not in ("a", "p"):
            if word not in _LETTERS or not gap or not _PLAIN_VALUE.fullmatch(value):
                return False
        elif word not in _NAMES and word not in _POWERS and (len(word) < 3 or not gap or not word.islower()):
            return False
    return not re.fullmatch(r"\\text\{ ?[A-Za-z] ?\}", unit) or unit[6:-1].strip() in _LETTERS


def _name(unit: str) -> str:
    words = re.sub(r"\\text|[{}^]", " ", unit.replace(r"\degree", " degree ")).replace(".", "")
    words = re.sub(r"(?<=[A-Za-z])(?=\d)", " ", words)
    power = ""
    names: list[str] = []
    for word in re.findall(r"[A-Za-z]+|\d", words):
        if word in _POWERS or word.isdigit():
            power = _POWERS.get(word) or word
        elif (name := _NAMES.get(word) or _NAMES.get(word.lower())) is not None:
            names.append(name)
    if names[:1] == ["mile"] and names[1:] == ["hour"]:
        names = ["mph"]
    return "/".join(names) + power if names else ""
