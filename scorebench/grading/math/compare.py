r"""Whether two normalised answers are the same: the rules, and the order in which they are tried.

Answers are compared part by part, on purpose otherwise than in Math-Verify. Math-Verify decides only where algebra is
needed. Each rule has a name; values.py, words.py and parts.py hold what the rules need:

- "same-text", "number": equal texts are the same, and two plain numbers of exactly the same value.
- "hedged": "not 5", "less than 5" and "5 or maybe 6" state no answer.
- "choice", "words", "letters": (C) is C; even is Even; LQSX is not QLSX, as letters in a row are no product.
- "clock": 4:30 p.m. is a time; 3:4 is a ratio, and 6:8 or 3/4 is the same one.
- "base": 1011_2 is 1011, as the problem names the base; it is neither 1011_3 nor 11.
- "digits-apart": 1 2 is neither 12 nor the product 2; 1 200 is 1200 (normalise.py).
- "percent": 10\% is 10 and is 0.1; 0.1 is not 10.
- "unit": 5 m is not 5 cm; a unit may be left out.
- "name": x = 5 is not y = 5.
- "equation": x^2 + 1 = 5 is not 5.
- "false-equation": 6 = 5 states nothing.
- "count": two answers are not three, and a double root counts twice.
- "parts": lists are compared part by part and in any order, unless the parts have names or stand in brackets.
- "brackets": (1,2), [1,2] and \{1,2\} are three things; brackets may be left out.
- "said-twice": \frac34 or 0.75.
- "interval": x < 3 is (-\infty,3).
"""

from __future__ import annotations

import re
from operator import itemgetter

from scorebench.grading.math import words
from scorebench.grading.math.parts import (
    Parts,
    as_union,
    brackets_agree,
    of_one_thing,
    read_parts,
    read_thousands_as_parts,
)
from scorebench.grading.math.statements import Statement, hedged, interval, is_constant, is_name, read_statement
from scorebench.grading.math.units import differ, split_unit
from scorebench.grading.math.values import Ask, Decision, compare_values, squash

_WITHOUT_FORMULAS = {"choice": words.choice, "clock": words.clock, "words": words.words}
_SET = re.compile(r"\\cup|\\setminus|[<>]|\\(?:le|ge|ne)(?![A-Za-z])|\\mathbb\{R\}")
# A text with one of these may state more than one value, though it is no list.
_MANY_VALUES = re.compile(r"\\cup|\\begin|\\in(?![A-Za-z])|<|>|\\[lg]e(?![A-Za-z])")


def compare(reference: str, answer: str, ask: Ask) -> Decision:
    """The decision on two normalised answers. ask: called for two formulas on which no rule decides."""
    if squash(reference) == squash(answer):
        return Decision(True, "same-text")
    if hedged(reference, answer):
        return Decision(False, "hedged")
    for name, rule in _WITHOUT_FORMULAS.items():
        if (same := rule(reference, answer)) is not None:
            return Decision(same, name)
    return _compare_formulas(reference, words.without_choice(answer), ask)


def _compare_formulas(reference: str, answer: str, ask: Ask) -> Decision:
    """Sets first, then parts, then single answers. 70,110 is one number, or two where the other side has parts."""
    gold, given = read_parts(reference), read_parts(answer)
    if given and not gold:
        gold = read_thousands_as_parts(reference)
    elif gold and not given:
        given = read_thousands_as_parts(answer)
    if _SET.search(reference + answer) and not (interval(reference) and interval(answer)):
        gold_union, given_union = as_union(reference, gold), as_union(answer, given)
        if gold_union and given_union:
            return Decision(ask(gold_union, given_union)[0], "interval")
    if gold and given:
        return _compare_parts(gold, given, ask)
    if gold or given:
        return _compare_parts_with_single(reference, answer, gold, given, ask)
    return _compare_single(reference, answer, ask)


# Both sides have parts.


def _compare_parts(gold: Parts, given: Parts, ask: Ask) -> Decision:
    """Parts are paired by their names, else by their place if the order counts, else in any way that fits."""
    if not brackets_agree(gold, given):
        return Decision(False, "brackets")
    if len(gold.parts) != len(given.parts):
        return Decision(False, "count")
    gold_parts, given_parts = gold.parts, given.parts
    gold_names, given_names = gold.names(), given.names()
    distinct_names = any(names and not of_one_thing(names) for names in (gold_names, given_names))
    if gold_names and given_names:
        if distinct_names and sorted(gold_names) != sorted(given_names):
            return Decision(False, "name")
        gold_parts, given_parts = _by_name(gold_names, gold_parts), _by_name(given_names, given_parts)
    if not (gold.in_order or given.in_order or distinct_names):
        return Decision(_can_be_paired(gold_parts, given_parts, ask), "parts")
    for pair in zip(gold_parts, given_parts, strict=True):
        if not (decision := compare(*pair, ask)).same:
            return decision
    return Decision(True, "parts")


def _by_name(names: list[str], parts: list[str]) -> list[str]:
    return [part for _, part in sorted(zip(names, parts, strict=True), key=itemgetter(0))]


def _can_be_paired(gold: list[str], given: list[str], ask: Ask) -> bool:
    """Whether the parts of two lists can be paired off. Equality is nearly transitive, so the first fit will do."""
    left = list(given)
    for part in gold:
        found = next((index for index, other in enumerate(left) if compare(part, other, ask).same), None)
        if found is None:
            return False
        del left[found]
    return True


# One side has parts.


def _compare_parts_with_single(
    reference: str, answer: str, gold: Parts | None, given: Parts | None, ask: Ask
) -> Decision:
    r"""Either gold or given is None. \{5\} is 5. Else the counts differ, but of sets Math-Verify may know better."""
    if given and given.either and all(_compare_single(reference, part, ask).same for part in given.parts):
        return Decision(True, "said-twice")
    if gold and len(gold.parts) == 1:
        return compare(gold.parts[0], answer, ask)
    if given and len(given.parts) == 1:
        return compare(reference, given.parts[0], ask)
    parts, single = (gold, answer) if gold else (given, reference)
    if parts and parts.brackets in ("", "{}", "()") and not _MANY_VALUES.search(single):
        return Decision(False, "count")
    return Decision(*ask(reference, answer))


# Neither side has parts.


def _compare_single(reference: str, answer: str, ask: Ask) -> Decision:
    """Two answers without parts: the units and the names are taken off, then the values are compared."""
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
    decisions = [compare_values(side, value, ask) for side in gold_says.values]
    return next((decision for decision in decisions if decision.same), decisions[-1])


def _compare_equations(
    gold: str, given: str, gold_says: Statement | None, says: Statement | None, ask: Ask
) -> Decision:
    """At least one side is an equation, or the names differ. Math-Verify compares the solutions of two equations."""
    if gold_says and says:  # x = 5 and y = 5
        if is_constant(gold_says.values[-1]) and is_constant(says.values[-1]):
            return Decision(False, "name")
    elif any(statement and statement.name is None for statement in (gold_says, says)):
        return Decision(False, "equation")
    return Decision(*ask(gold, given))


def _consistent(says: Statement, ask: Ask) -> bool:
    """Whether the constant sides of a chain of equations are equal, as in 256 + 37 = 293."""
    *sides, last = says.values
    return not is_constant(last) or all(compare_values(side, last, ask).same for side in sides if is_constant(side))
