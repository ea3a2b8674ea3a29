"""The difference audit: where our verdict is not Math-Verify's own, and by which rule or step."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from scorebench.grading.math.grader import same_answer
from scorebench.grading.math.normalise import STEPS, normalise, steps_taken
from scorebench.grading.math.statements import read_statement
from scorebench.grading.math.units import split_unit

from .test_grader import PAIRS, REPORTED

# Every rule that may decide otherwise than Math-Verify, beside the steps of normalise.py.
RULES = {
    "hedged", "choice", "clock", "words", "letters", "base", "percent", "unit", "name", "equation",
    "false-equation", "count",
    "parts", "brackets", "said-twice", "interval", "exact", "real-values", "empty", "over-limit", "same-text",
    "number", "their-units", "digits-apart",
}  # fmt: skip


def math_verify(reference: str, answer: str) -> bool:
    """Math-Verify's verdict as its documentation has it; sets may be said by inequalities."""
    from math_verify import LatexExtractionConfig, parse, verify

    logging.getLogger("math_verify").setLevel(logging.CRITICAL)
    gold, given = (parse(f"${text}$", [LatexExtractionConfig()], "no_fallback") for text in (reference, answer))
    return verify(gold, given, allow_set_relation_comp=True)


def causes(reference: str, answer: str) -> list[str]:
    """The rule that decided, and the steps that changed the texts before Math-Verify read them."""
    rule = same_answer(reference, answer).rule
    found = [] if rule in ("math-verify", "same-text", "number") else [rule]
    for text in (reference, answer):
        found += [step for step in steps_taken(text) if step in STEPS]
        value, unit = split_unit(normalise(text))
        statement = read_statement(value)
        found += ["unit"] if unit is not None or value != normalise(text) else []
        found += ["name"] if statement and (statement.name or statement.values != [value]) else []
    found += ["their-units"] if any(map(_loses_a_letter, (reference, answer))) else []
    return list(dict.fromkeys(found or [rule]))


def _loses_a_letter(text: str) -> bool:
    """Whether Math-Verify drops the end of a text as a unit, as the c of a + b + c; we leave its units off."""
    from latex2sympy2_extended.math_normalization import NormalizationConfig, normalize_latex

    with_units, without = (normalize_latex(text, NormalizationConfig(units=units)) for units in (True, False))
    return with_units != without


@pytest.fixture(scope="module")
def differences() -> list[tuple[dict[str, Any], bool, list[str]]]:
    """Each pair on which we differ: the pair, our verdict, and the causes."""
    pairs = [*PAIRS]
    pairs += [{"reference": c["reference"], "answer": c["text"]} for c in REPORTED if c["kind"] == "pair"]
    differing = []
    for pair in pairs:
        ours = same_answer(pair["reference"], pair["answer"]).passed
        if ours != math_verify(pair["reference"], pair["answer"]):
            differing.append((pair, ours, causes(pair["reference"], pair["answer"])))
    return differing


def test_every_difference_has_a_named_cause(differences: list[tuple[dict[str, Any], bool, list[str]]]):
    listing = "\n".join(
        f"{cause[0]:<15} ours {ours!s:<5} {pair['reference']} | {pair['answer']}" for pair, ours, cause in differences
    )
    print(listing)  # pytest -rP shows the audit
    unnamed = [(pair, cause) for pair, _, cause in differences if not set(cause) <= RULES | set(STEPS)]
    assert unnamed == []
    assert differences, "the audit compares nothing"


def test_a_difference_without_a_cause_is_noticed():
    assert set(causes("x+1", "1+x")) == {"math-verify"}
    assert not set(causes("x+1", "1+x")) <= RULES | set(STEPS)
