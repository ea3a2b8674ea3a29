"""Verdicts on answers: MATH's conventions, reported cases, hostile answers, and workers that cannot decide."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorebench.grading.math import grader as math_grading
from scorebench.grading.math.compare import compare
from scorebench.grading.math.extract import find_answer
from scorebench.grading.math.grader import grade, same_answer
from scorebench.grading.math.limits import over_limit
from scorebench.grading.math.normalise import normalise
from scorebench.grading.math.worker_pool import PoolError

from . import pool_functions
from .hostile import HOSTILE

HERE = Path(__file__).parent
PAIRS = [json.loads(line) for line in (HERE / "math_pairs.jsonl").read_text("utf-8").splitlines()]
REPORTED = [json.loads(line) for line in (HERE / "reported_cases.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", REPORTED, ids=[case["id"] for case in REPORTED])
def test_reported_cases(case: dict[str, str]):
    judge = (
        grade(case["text"], case["reference"])
        if case["kind"] == "reply"
        else same_answer(case["reference"], case["text"])
    )
    assert judge.outcome == case["want"], judge


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("0", "2^10"), ("2x", "x^12"), ("12", "3^14"), ("6", r"\sqrt16"), ("0", "not 0"), ("north", "thorn"), ("2x",
        "2x_1"),
        ("AB=9, CD=4", "4, 9"), ("5", "not $5$"), ("5", "less than $5$"), ("5", "$5$ (or $6$)"), ("5",
        r"5 \text{ or maybe 6}"),
        ("5", r"5 \text{, not 6}"), ("5", "6 = 5"), ("5", "x = 6 = 5"), ("AB", "A,B"), ("5", "="), ("5", r"\text{}"),
        ("5", "x^2 = 5"), ("5", "3x + 2y = 5"), ("5", "at least 5"), ("(2,1), (3,4)", "(5,4), (3,4)"),
        ("12", "1 2"), ("12", r"1\,2"), ("2", "1 2"), ("56", "5 6"), ("120", "12 0"), ("0.12", "0.1 2"),
        ("x^{12}", "x^{1 2}"), ("5", "5 minus something"), ("5", "5 plus something"), ("5", "anything but 5"),
        ("1200", "1, 200"), ("12{,}345", "12, 345"), ("1234567", "1 234567"),
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}"), ("x", r"\sqrt{x^2}"), ("5", r"5\text{ or more}"),
    ],
)  # fmt: skip
def test_what_says_something_else_fails(reference: str, answer: str):
    assert same_answer(reference, answer).outcome == "fail"


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("E_1", "E_{1}"), ("293", "m+n = 293"), ("5", "f(2) = 5"), ("5", "|AB| = 5"), ("60",
        r"\angle ABC = 60^\circ"), ("3", "= 3"),
        ("11", r"x \approx 11"), ("1250", "$1,250"), ("12", "12 cups"), ("28800", "28800 ways"), ("35", "35 km/h"),
        ("5", r"\text{5 cm}"),
        (r"\sqrt{2}", "√2"), ("x^4", "x⁴"), (r"\frac{1}{2}", "½"), ("10", r"\mathbf{10}\text{ cm}"), ("5",
        r"\underline{5}"),
        ("5", r"\textcolor{blue}{5}"), ("5", r"\bm{5}"), ("5", r"{\Large 5}"), ("5", "**5**"), ("5", "`5`"),
        ("1024", "2^10"), ("4", r"\sqrt16"),
        (r"(-\infty,1)\cup(3,\infty)", "x<1 or x>3"), ("[2,5)", r"\{x : 2 \le x < 5\}"), (r"\sqrt{1/n}",
        r"\frac{1}{\sqrt n}"),
        (r"\frac{3}{4}", r"\frac34 or 0.75"), ("5", r"V = 5\text{ m}^3"), ("1,-2", "x_1=-2, x_2=1"), ("(2,3)",
        "x=2, y=3"),
        ("5", r"5 \frac{\text{km}}{\text{h}}"), (r"\text{(C)}", r"\textbf{(C)}\ 5"), ("4", "four"), ("1200", "1 200"),
        ("1200", r"1\,200"), ("1,200", r"1\,200"), ("1200", "1{,}200"), ("1200", "1\u2009200"),
        ("1234567", "1 234 567"),
        ("0.123456", r"0.123\,456"), ("1 2", "1  2"), ("1, 200", "1,200"), ("AB", "A B"), ("2x", "2 x"),
        (r"\frac12", r"\frac 1 2"),
        ("1011_2",
        r"1011_{\text{two}}"),
    ],
)  # fmt: skip
def test_what_says_the_same_passes(reference: str, answer: str):
    assert same_answer(reference, answer).outcome == "pass"


def test_the_pair_set_is_large_and_has_negatives():
    assert len(PAIRS) >= 200
    assert sum(not pair["same"] for pair in PAIRS) >= 80
    assert len({(pair["reference"], pair["answer"]) for pair in PAIRS}) == len(PAIRS)


@pytest.mark.parametrize("pair", PAIRS, ids=[pair["note"] for pair in PAIRS])
def test_conventions_of_math(pair: dict[str, Any]):
    verdict = same_answer(pair["reference"], pair["answer"])
    assert verdict.outcome == ("pass" if pair["same"] else "fail"), verdict
    assert verdict.answer == pair["answer"]


@pytest.mark.parametrize("pair", [p for p in PAIRS if not p["same"]], ids=lambda pair: pair["note"])
def test_what_is_not_the_same_is_not_the_same_the_other_way_round(pair: dict[str, Any]):
    assert same_answer(pair["answer"], pair["reference"]).outcome == "fail"


# Whole replies.


def test_a_reply_is_judged_by_its_last_stated_answer():
    reply = r"my previous answer \boxed{6} was wrong, it is \boxed{5}"
    assert (grade(reply, "5").outcome, grade(reply, "5").answer) == ("pass", "5")
    assert grade(reply, "6").outcome == "fail"
    assert grade(reply, "5,6").outcome == "fail"


def test_the_rule_names_what_found_the_answer_and_what_settled_it():
    final = "Final Answer: The final answer is ${}$. I hope it is correct."
    assert grade(final.format("0.5"), r"\frac{1}{2}").rule == "final-answer, number"
    assert grade(r"\boxed{5}", "5").rule == "boxed, same-text"
    assert grade(r"\boxed{(x+1)^2}", "x^2+2x+1").rule == "boxed, math-verify"
    assert grade(final.format("9^{9^{9}}"), "5").rule == "final-answer, over-limit"


DENIED = [
    "The final answer is definitely not 5.", "The final answer isn't 5.", "The final answer isn\u2019t 5.",
    "The final answer cannot be $5$.", "The answer can't be 5.", "The final answer should not be 5.",
    "Answer: anything but 5", "The answer is everything except 5.", "Answer: hardly 5",
    "I do not think the answer is 5.", "I don't believe that the final answer is $5$.", "I doubt that the answer is 5.",
    "It is not the case that the answer is 5.", "I do not know whether the answer is 5.",
    r"The answer is not $\boxed{5}$.", r"I do not think that the answer is \boxed{5}.", "So $x$ cannot be $5$.",
    "The final answer is 5. Wait, the final answer is not 5.", r"\boxed{5}. No: the answer is not 5.",
    "The final answer is 5. Or maybe 6.", "The final answer is $5$. Or $6$.", "The answer is $5$, or maybe $6$.",
    "The answer is 5, but it could also be 6.", "The answer is 5. Alternatively, 6.", r"\boxed{5} or maybe 6",
]  # fmt: skip


@pytest.mark.parametrize("reply", DENIED)
def test_what_is_denied_or_left_open_is_no_answer(reply: str):
    assert grade(reply, "5").outcome == "fail"
    assert grade(reply.replace("5", "7"), "5").outcome == "fail"


@pytest.mark.parametrize(
    "reply",
    [
        "The answer isn't 4. The final answer is 5.", "The answer cannot be 4. It must be 5.",
        "The final answer is 5. The final answer is not 4.", r"\boxed{5}. I do not think the answer is 4.",
        "The answer is 5. I don't think the answer is 4.", "The final answer is not 5? No: the final answer is 5.",
        "I do not think there is another way. The answer is 5.", "I don't know why, but the answer is 5.",
        "I am not sure.\nAnswer: 5", "There is no doubt that the answer is 5.", "I don't doubt that the answer is 5.",
        "Because x cannot be negative, the final answer is $5$.", "Since 4 is not possible, the answer is 5.",
        "The final answer is definitely 5.", "The answer is none other than 5.", "The final answer is nothing but 5.",
        "The final answer is 5. Or equivalently, $5.0$.", r"\boxed{5} or 5.0", "The final answer is $5$. Or $x = 5$.",
        "My answer isn't changing. The final answer is 5.", "It is not 4, so the answer is 5.",
    ],
)  # fmt: skip
def test_what_denies_something_else_still_answers(reply: str):
    assert grade(reply, "5").outcome == "pass"


def test_a_reply_without_an_answer_fails():
    verdict = grade("I give up.", "5")
    assert (verdict.outcome, verdict.answer, verdict.rule) == ("fail", None, "no-answer")


def test_answers_of_math_are_themselves(math_rows: list[dict[str, Any]]):
    """All of them; the text settles it, so that no reference can fail for want of a parser."""
    form = "Final Answer: The final answer is ${}$. I hope it is correct."
    outcomes = Counter(grade(form.format(row["answer"]), row["answer"]).outcome for row in math_rows)
    assert outcomes == {"pass": 12_498}
    outcomes = Counter(same_answer(row["answer"], row["answer"]).outcome for row in math_rows)
    assert outcomes == {"pass": 12_498}


def test_no_reference_of_math_is_beyond_the_limits(math_rows: list[dict[str, Any]]):
    references = sorted({normalise(row["answer"]) for row in math_rows})
    assert [text for text in references if not text or over_limit(text)] == []


# Hostile answers. benchmarks/math_grading.py measures what they cost.


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(math_grading, "SECONDS", 0.2)
    monkeypatch.setattr(math_grading, "LONGER_SECONDS", 0.6)


@pytest.mark.parametrize(
    "answer",
    [pytest.param(text, marks=[] if n % 8 == 0 else pytest.mark.slow, id=str(n)) for n, text in enumerate(HOSTILE)],
)
def test_hostile_answers_fail(answer: str, short_limits: None):
    assert same_answer("x^2+1", answer).outcome == "fail"
    assert grade(rf"\boxed{{{answer}}}", "7").outcome == "fail"
    assert not Path("pwned").exists()


_COMMANDS = (
    "frac sqrt text{ pm cup le infty pi log_ sin circ approx in binom overline{ begin{pmatrix} end{pmatrix} boxed{"
)
_PIECES = [
    *"{}()[]^_!,=<|-+&%$:./*9iex²½ ",
    "12",
    "1.5",
    "cm",
    " and ",
    " or ",
    "p.m.",
    r"\{",
    r"\}",
    r"\%",
    r"\$",
    r"\\",
    "final answer is ",
]
_PIECES += ["\\" + command for command in _COMMANDS.split()]


def _never(reference: str, answer: str) -> tuple[bool, str]:
    return False, "math-verify"


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=14).map("".join), st.sampled_from(PAIRS))
def test_any_text_is_read_and_compared_without_an_exception(text: str, pair: dict[str, Any]):
    reference, answer = normalise(pair["reference"]), normalise(text)
    find_answer(text)
    assert compare(answer, answer, _never).same
    assert compare(reference, answer, _never).same in (True, False)
    assert compare(answer, reference, _never).same in (True, False)


def test_there_are_enough_hostile_answers():
    assert len(set(HOSTILE)) >= 50


@pytest.mark.parametrize(
    "answer", ["9" * 100_000, "(" * 100_000, "9^{9^{9^{9}}}", "9^{9^{9}}", "10000000!", "2^{10^{10}}", "((((5!)!)!)!)!"]
)
def test_what_is_beyond_the_limits_fails_as_an_answer_and_is_an_error_as_a_reference(answer: str):
    assert (same_answer("5", answer).outcome, same_answer("5", answer).rule) == ("fail", "over-limit")
    assert (same_answer(answer, "5").outcome, same_answer(answer, "5").rule) == ("error", "reference")
    assert same_answer(answer, answer).outcome == "pass"


def test_an_empty_reference_is_an_error():
    assert same_answer("", "5").outcome == "error"
    assert same_answer("5", "").outcome == "fail"


# What an answer brings about is a fail; what also happens to a known pair is an error.


def test_a_slow_answer_is_a_fail_and_the_pool_goes_on(short_limits: None):
    verdict = same_answer("x^2+1", r"\sum_{n=1}^{9999} n!")
    assert (verdict.outcome, verdict.rule) == ("fail", "too-slow")
    assert same_answer("x^2+1", "1+x^2").outcome == "pass"


def test_a_sum_that_is_slow_but_can_be_done_is_decided():
    assert same_answer("2016!-1", r"\sum_{k=1}^{2015} k\cdot k!").outcome == "pass"
    assert same_answer("2016!", r"\sum_{k=1}^{2015} k\cdot k!").outcome == "fail"


def test_an_answer_that_kills_its_worker_is_a_fail(monkeypatch: pytest.MonkeyPatch):
    """The function kills its worker for one pair only, so the control pair passes."""
    monkeypatch.setattr(math_grading, "compare_in_worker", pool_functions.die_of_seventeen)
    verdict = same_answer("x^2+17", "17+x^2")
    assert (verdict.outcome, verdict.rule) == ("fail", "kills-worker")


def test_dead_workers_are_an_error_and_errors_are_not_remembered(monkeypatch: pytest.MonkeyPatch):
    pair = ("x^2+18", "18+x^2")
    monkeypatch.setattr(math_grading, "compare_in_worker", pool_functions.die)
    assert (same_answer(*pair).outcome, same_answer(*pair).rule) == ("error", "worker")
    with pytest.raises(PoolError):
        math_grading._settle(*pair)
    monkeypatch.undo()
    assert same_answer(*pair).outcome == "pass"


def test_many_threads():
    pairs = [(f"x^2+{n}", f"{n + wrong}+x^2") for n in range(12) for wrong in (0, 1)]
    with ThreadPoolExecutor(12) as threads:
        outcomes = list(threads.map(lambda pair: same_answer(*pair).outcome, pairs))
    assert outcomes == ["pass", "fail"] * 12


@pytest.mark.slow
def test_a_busy_machine_changes_no_verdict():
    """All pairs, beside four busy loops."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        math_grading._settle.cache_clear()
        with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as threads:
            verdicts = list(threads.map(lambda pair: same_answer(pair["reference"], pair["answer"]), PAIRS))
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert Counter(verdict.outcome for verdict in verdicts)["error"] == 0
    assert [verdict.passed for verdict in verdicts] == [pair["same"] for pair in PAIRS]


def test_limits_leave_room_above_math():
    assert over_limit("2^{2008} - 2") is None
    assert over_limit("x^2y^2z^2 + 2x^{10} + 2x^8 + 2x^6") is None
