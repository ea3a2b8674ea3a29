"""Every printed figure of the paper's tables comes out of the metrics, from its integer counts as episodes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from scorebench.api.percent import percent
from scorebench.statistics import metrics
from tests.made_episodes import episode, run_of

PAPER = Path(__file__).parents[2] / "results" / "paper.csv"
ROWS = list(csv.DictReader(PAPER.open()))

# Printed, but not what the row's other figures give: 53.7 + 9.8 - 11.0 = 52.5 adds rounded figures; 86 / 164 = 52.4.
MISPRINTS = {("HumanEval", "self-refine", "acc_t2")}


def with_counts(**columns: bool) -> list[dict[str, str]]:
    return [row for row in ROWS if all(bool(row[column]) == wanted for column, wanted in columns.items())]


def name(row: dict[str, str]) -> str:
    return f"{row['benchmark']} {row['table']} {row['method']}"


def printed(row: dict[str, str], column: str) -> str:
    """The figure as the paper prints it; the file holds fractions with three decimals."""
    tenths = round(float(row[column]) * 1000)
    sign = "+" if column == "delta" and tenths > 0 else "-" if tenths < 0 else ""
    return f"{sign}{abs(tenths) // 10}.{abs(tenths) % 10}"


@pytest.mark.parametrize("row", with_counts(count_i_to_c=True), ids=name)
def test_five_metrics_of_the_main_tables(row: dict[str, str]) -> None:
    counts = (int(row[column]) for column in ("n", "count_t1", "count_i_to_c", "count_c_to_i"))
    run = metrics.outcomes(run_of(*counts))
    figures = {
        "acc_t1": percent(metrics.accuracy(run, 1).value),
        "acc_t2": percent(metrics.accuracy(run, 2).value),
        "delta": percent(metrics.delta(run).value, signed=True),
        "i_to_c": percent(metrics.i_to_c(run).value),
        "c_to_i": percent(metrics.c_to_i(run).value),
    }
    differing = {column for column, figure in figures.items() if figure != printed(row, column)}
    assert differing == {column for *key, column in MISPRINTS if key == [row["benchmark"], row["method"]]}
    assert round(metrics.accuracy(run, 2).value * run.n) == int(row["count_t2"])


@pytest.mark.parametrize("row", with_counts(count_i_to_c=False, count_t2=True), ids=name)
def test_ablations_and_three_turns(row: dict[str, str]) -> None:
    turns = [int(row[column]) for column in ("count_t1", "count_t2", "count_t3") if row[column]]
    n = int(row["n"])
    run = metrics.outcomes([episode(str(i), "".join("01"[i < right] for right in turns)) for i in range(n)])
    for turn in range(1, len(turns) + 1):
        assert percent(metrics.accuracy(run, turn).value) == printed(row, f"acc_t{turn}")
    if row["delta"]:
        assert percent(metrics.delta(run).value, signed=True) == printed(row, "delta")


def test_the_file_is_the_papers() -> None:
    """Spot checks against PAPER.md, so that a change of figures and counts together is caught."""
    found = {(row["table"], row["benchmark"], row["method"]): row for row in ROWS}
    assert len(found) == len(ROWS) == 25
    score = found["main", "MATH500", "score"]
    assert [printed(score, c) for c in ("acc_t1", "acc_t2", "delta", "i_to_c", "c_to_i")] == [
        "60.0",
        "64.4",
        "+4.4",
        "5.8",
        "1.4",
    ]
    assert printed(found["main", "MATH500", "base"], "delta") == "-11.2"
    assert printed(found["main", "MBPP-R", "score"], "acc_t2") == "60.6"
    assert printed(found["main", "HumanEval", "score"], "delta") == "+12.2"
    assert printed(found["three turns", "MATH", "score stage 1(b)"], "acc_t3") == "23.2"
