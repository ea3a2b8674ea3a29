"""Tables for people: percent, intervals, labels, marks, and 80 columns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorebench.report.compare import compare
from scorebench.report.render import percent
from tests.made_episodes import episode, run_of
from tests.report.test_rows import made


@pytest.mark.parametrize(
    ("fraction", "signed", "text"),
    [
        (0.0005, False, "0.1"),  # half-even and binary rounding both give 0.0 or 0.1 by luck
        (0.0015, False, "0.2"),
        (0.0025, False, "0.3"),  # half-even would give 0.2
        (-0.0005, True, "-0.1"),
        (0.00049, True, "0.0"),
        (-0.0001, True, "0.0"),
        (0.044, True, "+4.4"),
        (-0.112, True, "-11.2"),
        (0.1 + 0.2, False, "30.0"),
        (1.0, False, "100.0"),
        (float("nan"), True, "-"),
    ],
)
def test_percent_rounds_as_people_do(fraction: float, signed: bool, text: str) -> None:
    assert percent(fraction, signed) == text


@given(count=st.integers(0, 2000), n=st.integers(1, 2000))
def test_percent_of_counts_is_exact(count: int, n: int) -> None:
    """Against integer arithmetic: floor(1000 count / n + 1/2) tenths."""
    count = min(count, n)
    tenths = (2000 * count + n) // (2 * n)
    assert percent(count / n) == f"{tenths // 10}.{tenths % 10}"


def test_percent_and_signs_and_intervals() -> None:
    text = compare([made("score", 0, run_of(500, 300, 29, 7))])
    assert "60.0" in text
    assert "64.4" in text
    assert "+4.4" in text
    assert "+2.2, +7.0" in text
    assert "0.7, 2.9" in text


def test_embedded_stands_in_every_row_and_data_never_mix() -> None:
    runs = [made("base"), made("score"), made("base", data="hub"), made("base", task={"name": "mbpp", "version": "1"})]
    text = compare(runs, "md", baseline="base")
    tables = [block for block in text.split("### ")[1:]]
    for block in tables:
        title, *lines = block.splitlines()
        rows = [line for line in lines if line.startswith("|")][2:]
        label = "hub" if "data hub" in title else "embedded"
        assert rows
        assert all(label in row for row in rows), block
    titles = [block.splitlines()[0] for block in tables]
    assert sum("self-correction" in title for title in titles) == 3
    assert all("embedded problems, not the benchmark" in title or "data hub" in title for title in titles)


LONG = ["base", "self-refine", "score-no-shaping", "score-star-stage2"]


def test_eighty_columns_hold_every_figure_unbroken() -> None:
    subjects = ["Counting & Probability", "Intermediate Algebra", "Precalculus", "Geometry", "Number Theory", "Algebra"]
    episodes = [
        episode(str(i), ["00", "01", "10", "11"][i % 4], level=i % 5, subject=subjects[i % 6]) for i in range(500)
    ]
    runs = [made(method, seed, episodes) for method in LONG for seed in range(3)]
    text = compare(runs, baseline="base")
    assert max(map(len, text.splitlines())) <= 80
    assert all(len(re.findall(rf"^{method} ", text, re.M)) >= 4 for method in LONG)  # in each table, never folded
    assert len(re.findall(r"^embedded, 3 seeds +0/0 45\.6, 54\.4 45\.6, 54\.4 ", text, re.M)) == len(LONG)


def test_seeds_are_one_row_with_their_spread_or_a_row_each() -> None:
    runs = [made("score", seed, run_of(100, 50, gained, 0)) for seed, gained in enumerate((5, 10, 15))]
    pooled = compare(runs, "md")
    assert "score (embedded, 3 seeds)" in pooled
    assert re.search(r"\| \+10\.0 \(.*; sd 5\.0\) \|", pooled)
    expanded = compare(runs, "md", expand_seeds=True)
    assert "sd" not in expanded.replace("standard", "")
    assert all(f"score (embedded, seed {seed})" in expanded for seed in range(3))


def test_faulty_and_unfinished_runs_are_marked_and_explained() -> None:
    faulty = made("base", 0, [episode("a", "01"), episode("b", "e0")])
    unfinished = made("score", 0, [episode("a", "01")], problems={"count": 2})
    text = compare([faulty, unfinished])
    assert "base *" in text
    assert "score *" in text
    assert "* base: episodes not graded, and in no figure: 1." in text
    assert "* score: episodes still missing: 1." in text
    assert "*" not in compare([made()])


def test_settings_that_differ_are_named() -> None:
    runs = [made("score", config={"alpha": bonus}) for bonus in (10.0, 0.0)]
    text = compare(runs, "md")
    assert "score alpha=10.0" in text
    assert "score alpha=0.0" in text


def test_later_turns_have_their_own_table() -> None:
    runs = [
        made("score", episodes=[episode("a", "011"), episode("b", "001"), episode("c", "110"), episode("d", "010")])
    ]
    text = compare(runs, "md")
    row = next(line for line in text.split("later turns")[1].splitlines() if line.startswith("| score"))
    assert re.match(r"\| score .*\| 3 \| 50\.0 \(.*\| -25\.0 \(.*\| 25\.0 \(.*\| 50\.0 \(", row)
    assert "later turns" not in compare([made()], "md")


def test_comparison_shows_difference_interval_and_p() -> None:
    runs = [made("base", 0, run_of(100, 50, 0, 0)), made("score", 0, run_of(100, 56, 0, 0))]
    row = compare(runs, "md", baseline="base").split("against base")[1].splitlines()[4]
    assert re.match(r"\| score \(embedded, seed 0\) \| 100 \| \+6\.0 \(\+\d.*\) \| 0\.0 \(.*\) \| 0\.031 \|", row)


def test_latex_escapes_what_latex_reads() -> None:
    runs = [made("base", 0, [episode("a", "01", subject="Counting & Probability")], model={"name": "a_b#1"})]
    text = compare(runs, "latex")
    assert r"Counting \& Probability" in text
    assert r"a\_b\#1" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}")
    assert not re.search(r"(?<!\\)[%#_]", text)


def test_no_runs_make_no_table() -> None:
    assert compare([]) == ""
