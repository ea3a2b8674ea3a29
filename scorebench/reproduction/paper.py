"""The published figures (results/paper.csv), to stand beside what is measured here."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).with_name("paper.csv")  # a link to results/paper.csv

# The benchmark that a task is named after. The paper has no table of self-correction on MBPP.
BENCHMARKS = {"math": "MATH500", "humaneval": "HumanEval"}
FIVE = ("acc_t1", "acc_t2", "delta", "i_to_c", "c_to_i")


def figures(task: str) -> dict[str, Mapping[str, float]]:
    """The paper's five metrics by method, as fractions of 1, of the main table and then of the ablations.

    Empty for a task that the paper has no table of; a metric that is not printed is left out.
    """
    found: dict[str, Mapping[str, float]] = {}
    with FILE.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["benchmark"] == BENCHMARKS.get(task):
                found.setdefault(row["method"], {name: float(row[name]) for name in FIVE if row[name]})
    return found


def model(task: str) -> str:
    """The model that the paper's figures are of; empty where there are none."""
    with FILE.open(encoding="utf-8") as file:
        return next((row["model"] for row in csv.DictReader(file) if row["benchmark"] == BENCHMARKS.get(task)), "")
