r"""Whether two normalised answers are the same: their parts here, what needs algebra by Math-Verify.

Parts are compared one by one, which is where this differs from Math-Verify on purpose. Each rule has a name:

- "same-text", "number": equal texts; two plain numbers, exactly. No algebra is needed.
- "hedged": "not 5", "less than 5", "5 or maybe 6" state no answer.
- "choice", "words", "letters": (C) is C; even is Even; LQSX is not QLSX, as letters in a row are no product.
- "clock": 4:30 p.m. is a time; 3:4 is a ratio, and 6:8 or 3/4 the same one.
- "base": 1011_2 is 1011 where the problem names the base, but it is not 1011_3, nor 11.
- "percent": 10\% is 10 and is 0.1; 0.1 is not 10.
- "unit": 5 m is not 5 cm; a unit may be left out.
- "name": x = 5 is not y = 5; "equation": x^2 + 1 = 5 is not 5; "false-equation": 6 = 5 states nothing.
- "count": two answers are not three, and a double root counts twice.
- "parts": lists are compared part by part and in any order, unless the parts have names or stand in brackets.
- "brackets": (1,2), [1,2] and \{1,2\} are three things; brackets may be left out.
- "said-twice": \frac34 or 0.75.
- "interval": x < 3 is (-\infty,3).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from scorebench.grading.math.brackets import closing, split
from scorebench.grading.math.statements import Statement, hedged, interval, is_constant, is_name, read_statement
from scorebench.grading.math.units import differ, split_unit

# Whether two formulas are equal, and by which rule.
Ask = Callable[[str, str], tuple[bool, str]]


class Decision(NamedTuple):
    same: bool
    rule: str


class Parts(NamedTuple):
    """An answer of several parts. brackets: "" for a list, "{}" for a set, "()" and "[)" and so on for points."""

    brackets: str
    parts: list[str]
    either: bool = False  # joined by "or"


_SEPARATOR = re.compile(r"[,;]| (?:and|or|as well as) |(?:^|(?<= ))(?:and|or) ")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)")
_FRACTION = re.compile(r"([-+]?)(?:\\frac\{([-+]?\d+)\}\{([-+]?\d+)\}|(\d+)/(\d+))")
_NO_SINGLE_VALUE = re.compile(r"\\cup|\\begin|\\in(?![A-Za-z])|<|>|\\[lg]e(?![A-Za-z])")
_INTERVAL = re.compile(r"[(\[][^<>]*,[^<>]*[)\]]|[^<>]*\\cup[^<>]*|\\mathbb\{R\}[^<>]*")
_SET = re.compile(r"\\cup|\\setminus|[<>]|\\(?:le|ge|ne)(?![A-Za-z])|\\mathbb\{R\}")
_PLUS_MINUS = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")


def compare(reference: str, answer: str, ask: Ask) -> Decision:
    """The decision on two normalised answers."""
    if squash(reference) == squash(answer):
        return Decision(True, "same-text")
    if hedged(reference, answer):
        return Decision(False, "hedged")
    for rule in (_choice, _clock, _words):
        if (same := rule(reference, answer)) is not None:
            return Decision(same, rule.__name__[1:])
    if (label := _CHOICE.fullmatch(answer)) and label[4]:
        answer = label[4]
    return _compare_readings(reference, answer, ask)


def squash(text: str) -> str:
    return "".join(text.split())


def _compare_readings(reference: str, answer: str, ask: Ask) -> Decision:
    """As compare(); 70,110 is read as one number and, where the other side has parts, as two."""
    gold, given = read_parts(reference), read_parts(answer)
    if bool(gold) != bool(given):
        if given and _THOUSANDS.fullmatch(reference):
            gold = read_parts(reference.replace(",", ", "))
        elif gold and _THOUSANDS.fullmatch(answer):
            given = read_parts(answer.replace(",", ", "))
    if _SET.search(reference + answer) and not (interval(reference) and interval(answer)):
        intervals = _as_interval(reference, gold), _as_interval(answer, given)
        if all(intervals):
            return Decision(ask(*map(str, intervals))[0], "interval")
    if gold and given:
        return _compare_parts(gold, given, ask)
    if given and given.either and all(_compare_one(reference, part, ask).same for part in given.parts):
        return Decision(True, "said-twice")
    if gold or given:
        return _compare_with_parts(reference, answer, gold, given, ask)
    return _compare_one(reference, answer, ask)


def _compare_with_parts(reference: str, answer: str, gold: Parts | None, given: Parts | None, ask: Ask) -> Decision:
    r"""One side has parts. \{5\} is 5; else the numbers of parts differ, but Math-Verify may know better of sets."""
    parts, other = (gold, answer) if gold else (given, reference)
    assert parts is not None
    if len(parts.parts) == 1:
        sides = (parts.parts[0], other) if gold else (other, parts.parts[0])
        return compare(*sides, ask)
    if parts.brackets in ("", "{}", "()") and not _NO_SINGLE_VALUE.search(other):
        return Decision(False, "count")
    return Decision(*ask(reference, answer))


def read_parts(text: str) -> Parts | None:
    r"""The parts of a list, a set, a point, a column; None for anything else. 1 \pm 2 has two parts."""
    statement = read_statement(text)
    if (
        statement
        and len(statement.values) == 1
        and statement.values[0] != text
        and _brackets_whole(statement.values[0])
    ):
        text = statement.values[0]
    if _THOUSANDS.fullmatch(split_unit(text)[0]) or interval(text):
        return None
    brackets, inner = "", text
    if whole := _brackets_whole(text):
        brackets, inner = whole
    elif (column := _column(text)) is not None:
        return Parts("()", column)
    parts, separators = split(inner, _SEPARATOR)
    parts = [part for part in parts if part]
    if brackets in ("()", "[]", "(]", "[)") and len(parts) < 2:
        return None
    if brackets in ("", "{}"):
        parts = [sign for part in parts for sign in _signs(part)]
        if brackets == "" and len(parts) < 2:
            return None
    return Parts(brackets, parts, any("or" in separator for separator in separators))


def _brackets_whole(text: str) -> tuple[str, str] | None:
    r"""The brackets that hold a whole text, and what they hold."""
    for opener, name in ((r"\{", "{"), ("(", "("), ("[", "[")):
        if text.startswith(opener):
            end = closing(text, 0)
            if end is not None and text[end:] in (")", "]", r"\}"):
                return name + text[end:].lstrip("\\"), text[len(opener) : end].strip()
    return None


def _column(text: str) -> list[str] | None:
    r"""The entries of a column or row that is the whole text."""
    matrix = re.fullmatch(r"\(?\\begin\{[pv]?matrix\}(.*)\\end\{[pv]?matrix\}\)?", text)
    if not matrix or r"\begin" in matrix[1]:
        return None
    rows = [row.strip() for row in matrix[1].split(r"\\")]
    return rows if len(rows) > 1 and "&" not in matrix[1] else None


def _signs(part: str) -> list[str]:
    r"""Turns a \pm b into two parts; \pm and \mp take opposite signs together, as in one formula."""
    if not _PLUS_MINUS.search(part) or len(_PLUS_MINUS.findall(part)) > 4:
        return [part]
    pairs = (("+", "-"), ("-", "+"))
    return [part.replace(r"\pm", plus).replace(r"\mp", minus).lstrip("+ ") for plus, minus in pairs]


def _compare_parts(gold: Parts, given: Parts, ask: Ask) -> Decision:
    names = _names(gold), _names(given)
    if not _brackets_agree(gold, given):
        return Decision(False, "brackets")
    if len(gold.parts) != len(given.parts):
        return Decision(False, "count")
    gold_parts, given_parts = gold.parts, given.parts
    if all(names):
        order = [sorted(range(len(part_names)), key=part_names.__getitem__) for part_names in names if part_names]
        if sorted(names[0] or []) != sorted(names[1] or []) and not (_alike(names[0]) and _alike(names[1])):
            return Decision(False, "name")
        gold_parts = [gold_parts[index] for index in order[0]]
        given_parts = [given_parts[index] for index in order[1]]
    ordered = gold.brackets not in ("", "{}") or given.brackets not in ("", "{}") or _ordered(*names)
    if ordered:
        for pair in zip(gold_parts, given_parts, strict=True):
            if not (decision := compare(*pair, ask)).same:
                return decision
        return Decision(True, "parts")
    return Decision(_match(gold_parts, given_parts, ask), "parts")


def _brackets_agree(gold: Parts, given: Parts) -> bool:
    kinds = {gold.brackets, given.brackets}
    if len(kinds) == 1 or kinds == {"", "{}"}:
        return True
    if "" in kinds:  # left out; not those of a half-open interval
        return not kinds & {"[)", "(]"}
    return kinds == {"()", "[]"} and len(gold.parts) > 2


def _names(parts: Parts) -> list[str] | None:
    """The names of named values; None if a part has none."""
    statements = [read_statement(part) for part in parts.parts]
    names = [statement.name for statement in statements if statement and statement.name]
    return names if len(names) == len(parts.parts) else None


def _alike(names: list[str] | None) -> bool:
    """Whether all names are of one thing: x, x or x_1, x_2."""
    return names is not None and len({re.sub(r"_\{.*|_.*|'+$", "", name) for name in names}) == 1


def _ordered(gold: list[str] | None, given: list[str] | None) -> bool:
    """Whether the order of parts counts: named values beside unnamed ones stand in the order of the names."""
    if gold and given:
        return not (_alike(gold) and _alike(given))
    return any(names is not None and not _alike(names) for names in (gold, given))


def _match(gold: list[str], given: list[str], ask: Ask) -> bool:
    """Whether the parts of two lists can be paired off. Equality is nearly transitive, so the first fit will do."""
    left = list(given)
    for part in gold:
        found = next((index for index, other in enumerate(left) if compare(part, other, ask).same), None)
        if found is None:
            return False
        del left[found]
    return True


def _as_interval(text: str, parts: Parts | None) -> str | None:
    r"""The text as an interval or a union, if it is one or is an inequality; x<1 or x>3 is a union."""
    if not parts or parts.brackets:
        return _one_interval(text)
    intervals = [_one_interval(part) for part in parts.parts]
    return r"\cup ".join(map(str, intervals)) if all(intervals) else None


def _one_interval(text: str) -> str | None:
    statement = read_statement(text)
    value = statement.values[-1] if statement else text
    return value if _INTERVAL.fullmatch(value) else interval(text)


def _compare_one(reference: str, answer: str, ask: Ask) -> Decision:
    """Two answers without parts: units off, names off, then the values."""
    (gold, gold_unit), (given, given_unit) = split_unit(reference), split_unit(answer)
    gold_says, says = read_statement(gold), read_statement(given)
    if gold_says is None or says is None or (gold_says.name and says.name and gold_says.name != says.name):
        return _compare_equations(gold, given, gold_says, says, ask)
    if gold_says.name and not says.name and not is_name(gold_says.name):  # a^2 + b = 0 is an equation, not the value 0
        return Decision(False, "equation")
    if differ(gold_unit, given_unit):
        return Decision(False, "unit")
    if not _consistent(says, ask):
        return Decision(False, "false-equation")
    value = says.values[-1]
    if (parts := read_parts(value)) and value != reference:  # x = \pm 2
        return compare(reference, value, ask) if value != answer or len(parts.parts) == 1 else Decision(False, "count")
    decisions = [_value(side, value, ask) for side in gold_says.values]
    return next((decision for decision in decisions if decision.same), decisions[-1])


def _compare_equations(
    gold: str, given: str, gold_says: Statement | None, says: Statement | None, ask: Ask
) -> Decision:
    """At least one side is an equation, or the names differ: Math-Verify solves them, if there are two."""
    if gold_says is not None and says is not None:  # x = 5 and y = 5
        if all(is_constant(statement.values[-1]) for statement in (gold_says, says)):
            return Decision(False, "name")
    elif (gold_says is not None and gold_says.name is None) or (says is not None and says.name is None):
        return Decision(False, "equation")
    return Decision(*ask(gold, given))


def _consistent(says: Statement, ask: Ask) -> bool:
    """Whether the constant sides of a chain of equations are equal, as in 256 + 37 = 293."""
    last = says.values[-1]
    return all(_value(side, last, ask).same for side in says.values[:-1] if is_constant(side) and is_constant(last))


def _value(gold: str, given: str, ask: Ask) -> Decision:
    """Two values, without names and units."""
    gold, given = _without_thousands(gold), _without_thousands(given)
    if squash(gold) == squash(given):
        return Decision(True, "same-text")
    if (same := _base(gold, given)) is not None:
        return Decision(same, "base")
    if r"\%" in gold + given:
        return Decision(_percent(gold, given, ask), "percent")
    if (same := _numbers(gold, given)) is not None:
        return Decision(same, "number")
    if (same := _letters(gold, given)) is not None:
        return Decision(same, "letters")
    return Decision(*ask(gold, given))


def _without_thousands(text: str) -> str:
    return re.sub(r"(?<![\d.,(\[{])\d{1,3}(?:,\d{3})+(?![\d,])", lambda match: match.group().replace(",", ""), text)


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


def _numbers(gold: str, given: str) -> bool | None:
    values = plain_number(gold), plain_number(given)
    return values[0] == values[1] if None not in values else None


_BASED = re.compile(r"(?:\\text\{)?(-?[0-9A-Z]+(?:\.[0-9A-Z]+)?)\}?_\{(\d+)\}")


def _base(gold: str, given: str) -> bool | None:
    bases = _BASED.fullmatch(squash(gold)), _BASED.fullmatch(squash(given))
    if not any(bases):
        return None
    digits = [match[1] if match else squash(text) for match, text in zip(bases, (gold, given), strict=True)]
    return digits[0].lstrip("0") == digits[1].lstrip("0") and not (bases[0] and bases[1] and bases[0][2] != bases[1][2])


def _percent(gold: str, given: str, ask: Ask) -> bool:
    bare = [text.replace(r"\%", "").strip() for text in (gold, given)]
    if _value(bare[0], bare[1], ask).same:
        return True
    if r"\%" in gold and r"\%" in given:
        return False
    hundredth = [rf"\frac{{{bare[0]}}}{{100}}", bare[1]] if r"\%" in gold else [bare[0], rf"\frac{{{bare[1]}}}{{100}}"]
    values = [plain_number(text) for text in bare]
    if values[0] is not None and values[1] is not None:
        return values[0] / 100 == values[1] if r"\%" in gold else values[0] == values[1] / 100
    return ask(*hundredth)[0]


_CAPITALS = re.compile(r"[A-Z]{2,}|[a-z]{4,}")


def _letters(gold: str, given: str) -> bool | None:
    """Two rows of letters: QLSX, ABC. Two or three small letters may be a product, xy."""
    texts = [re.sub(r"\\(?:text|overline|angle)|[{} ]", "", text) for text in (gold, given)]
    if all(re.fullmatch("[A-Za-z]+", text) for text in texts) and any(map(_CAPITALS.fullmatch, texts)):
        return texts[0] == texts[1]
    return None


_CHOICE = re.compile(
    r"\(? ?(?:\\text\{ ?\(? ?([A-Ha-h]) ?[).:]* ?\}|\(([A-Ha-h])\)|([A-H])(?=[.:)] ?|$)) ?[).:]* ?(.*)"
)


def _choice(reference: str, answer: str) -> bool | None:
    """Letters of a multiple choice, alone or before their value; None if the two are none."""
    gold, given = _CHOICE.fullmatch(reference), _CHOICE.fullmatch(answer)
    if not gold or not given or gold[4]:
        return None
    letters = [(match[1] or match[2] or match[3]) for match in (gold, given)]
    if letters[0] in "abcdefgh" and r"\text" not in reference:
        return None
    return letters[0].upper() == letters[1].upper()


_CLOCK = re.compile(
    r"(?:\\text\{)? ?(\d{1,2}) ?:? ?(\d*)(?: ?: ?\d+)? ?\}? ?(?:\\text\{)? ?([ap])\.? ?m\.? ?\}?", re.IGNORECASE
)
_RATIO = re.compile(r"(\d+(?:\.\d+)?) ?(?::|\\colon|\\text\{to\}|to) ?(\d+(?:\.\d+)?)")


def _clock(reference: str, answer: str) -> bool | None:
    r"""Times of day and ratios; None if neither text is one."""
    gold, given = _CLOCK.fullmatch(reference), _CLOCK.fullmatch(answer)
    if gold or given:
        times = [re.sub(r"[^\d:apm]", "", text.lower().replace("text", "")) for text in (reference, answer)]
        if not (gold and given):  # the half of the day may be left out
            times = [time.rstrip("apm") for time in times]
        return times[0] == times[1]
    reference, answer = _last_side(reference), _last_side(answer)
    ratios = _RATIO.fullmatch(reference), _RATIO.fullmatch(answer)
    if not any(ratios):
        return None
    if ratios[0] and ratios[1] and [*map(Fraction, ratios[0].groups())] == [*map(Fraction, ratios[1].groups())]:
        return True
    values = []
    for ratio, text in zip(ratios, (reference, answer), strict=True):
        bottom = Fraction(ratio[2]) if ratio else 1
        values.append((Fraction(ratio[1]) / bottom if bottom else None) if ratio else plain_number(text))
    return values[0] is not None and values[0] == values[1]


def _last_side(text: str) -> str:
    statement = read_statement(text)
    return statement.values[-1] if statement else text


_NUMBER_WORDS = {"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven":
"7", "eight": "8",
                 "nine": "9", "ten": "10", "eleven": "11", "twelve": "12"}  # fmt: skip
_WORD = re.compile(r"\\text\{(?=[^{}]*[A-Za-z]{2})|(?<![\\A-Za-z])[A-Za-z]{4,}(?![A-Za-z])")
_CONNECTED = re.compile(r"(?:\\text|[{}\s().,;'\"-]|\b(?:and|or|the|a|an)\b)+")


def _words(reference: str, answer: str) -> bool | None:
    r"""Words by their letters: even, \text{Monday}, June 20; None where there are none beside a value and its unit."""
    if not any(_WORD.search(text) and split_unit(text)[1] is None and "=" not in text for text in (reference, answer)):
        return None
    texts = [_CONNECTED.sub(" ", text).split() for text in (reference, answer)]
    if not all(re.fullmatch(r"[A-Za-z\d]+", word) for words in texts for word in words):
        return None
    letters = [_NUMBER_WORDS.get("".join(words).lower(), "".join(words).lower()) for words in texts]
    return letters[0] == letters[1]
