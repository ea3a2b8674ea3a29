"""Scaling curves against brute force over every draw, and against worlds whose curves are known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorebench.api.errors import UserError
from scorebench.api.types import Attempt, Episode, Reply, Verdict
from scorebench.report import rows
from scorebench.report.summary import Identity
from scorebench.statistics.majority_vote import SamplePool, Scaling, majority_scores, pools, scale


def pool(
    attempts: Sequence[tuple[int, int]], right: int = 0, tokens: Sequence[tuple[int, int]] | None = None
) -> SamplePool:
    """A problem whose attempts vote for these keys; the key `right` is the right answer."""
    keys_MT = np.array(attempts)
    return SamplePool("p", keys_MT, keys_MT == right, np.array(tokens or [(10, 20)] * len(attempts)))


def by_hand(keys: Sequence[int], right: int = 0) -> float:
    votes = Counter(key for key in keys if key >= 0)
    winners = [key for key in votes if votes[key] == max(votes.values())]
    return winners.count(right) / len(winners) if winners else 0.0


def accuracy(found: Scaling, way: str, budget: int) -> float:
    return next(p.accuracy.value for p in found.points if (p.way, p.budget) == (way, budget))


@pytest.mark.parametrize("budget", [2, 4, 6])
def test_draws_agree_with_every_possible_draw(budget: int) -> None:
    problems = [
        pool([(0, 0), (1, 0), (1, 1), (2, 0), (0, 2), (-1, 0), (1, -1)]),
        pool([(1, 1), (0, 0), (0, 1), (0, 0), (2, 2), (1, 0), (0, 0)]),
    ]
    found = scale(problems, [budget], draws=20_000)
    for way, size, turn in (("parallel", budget, 0), ("sequential", budget // 2, 1)):
        every = [
            np.mean([by_hand(p.keys_MT[list(d), turn].tolist()) for d in combinations(range(7), size)])
            for p in problems
        ]
        assert accuracy(found, way, budget) == pytest.approx(np.mean(every), abs=0.01)


@given(st.lists(st.lists(st.integers(-1, 3), min_size=5, max_size=5), min_size=1, max_size=6))
def test_majority_is_that_by_hand(keys: list[list[int]]) -> None:
    keys_RB = np.array(keys)
    assert majority_scores(keys_RB, keys_RB == 0) == pytest.approx([by_hand(votes) for votes in keys])


def test_a_key_of_right_and_wrong_attempts_counts_by_their_share() -> None:
    keys_RB, passed_RB = np.array([[0, 0, 0, 1]]), np.array([[True, True, False, False]])
    assert majority_scores(keys_RB, passed_RB) == pytest.approx([2 / 3])


def test_the_whole_pool_leaves_nothing_to_chance() -> None:
    problems = [pool([(0, 1), (0, 1), (1, 0), (1, 0)]), pool([(0, 0), (0, 0), (0, 0), (1, 0)])]
    assert accuracy(scale(problems, [4], draws=3), "parallel", 4) == 0.75


def test_parallel_voting_helps_where_the_right_answer_is_the_commonest() -> None:
    rng = np.random.default_rng(0)
    often = [pool([(int(a), int(a)) for a in rng.choice(4, 64, p=[0.4, 0.2, 0.2, 0.2])]) for _ in range(150)]
    found = scale(often, [2, 8, 32, 64])
    curve = [accuracy(found, "parallel", budget) for budget in (2, 8, 32, 64)]
    assert curve == sorted(curve)
    assert curve[0] == pytest.approx(0.4, abs=0.02)
    assert curve[-1] > 0.9
    # A correction that changes nothing spends half of the budget for nothing.
    assert found.differences[8].high < 0
    assert accuracy(found, "sequential", 64) == pytest.approx(accuracy(found, "parallel", 32), abs=0.02)


def test_a_correction_that_always_helps_beats_another_sample() -> None:
    rng = np.random.default_rng(1)
    problems = [pool([(int(a), 0) for a in rng.integers(0, 4, 16)]) for _ in range(60)]
    found = scale(problems, [4, 16])
    assert accuracy(found, "sequential", 4) == 1.0
    assert found.differences[4].low > 0.3


def test_tokens_are_those_of_the_attempts_drawn() -> None:
    found = scale([pool([(0, 0)] * 8, tokens=[(10, 30)] * 8), pool([(0, 0)] * 8, tokens=[(20, 50)] * 8)], [2, 8])
    tokens = {(point.way, point.budget): point.tokens for point in found.points}
    assert tokens == {
        ("parallel", 2): 30.0,
        ("sequential", 2): 55.0,
        ("parallel", 8): 120.0,
        ("sequential", 8): 220.0,
    }


def test_the_same_pool_gives_the_same_curve() -> None:
    rng = np.random.default_rng(2)
    problems = [pool([(int(a), int(b)) for a, b in rng.integers(0, 3, (8, 2))]) for _ in range(20)]
    assert scale(problems, [2, 4]) == scale(problems, [2, 4])


def test_rows_of_a_curve() -> None:
    identity = Identity("math", "embedded", "score", "m", 0, "run", 1.0)
    table = rows.scaling_rows(identity, scale([pool([(0, 0)] * 4), pool([(1, 0)] * 4)], [2, 4]))
    assert [(row["way"], row["budget"]) for row in table[:3]] == [("parallel", 2), ("sequential", 2), ("parallel", 4)]
    assert {row["data"] for row in table} == {"embedded"}
    assert (table[0]["acc"], table[1]["acc"], table[0]["difference"], table[1]["difference"]) == (0.5, 1.0, None, 0.5)


def dialogue(sample: int, texts: tuple[str, ...], outcomes: tuple[str, ...]) -> Episode:
    attempts = (
        Attempt(Reply(text, tokens=len(text)), Verdict(outcome))  # type: ignore[arg-type]
        for text, outcome in zip(texts, outcomes, strict=True)
    )
    return Episode("a", sample, tuple(attempts))


def test_pools_are_made_of_graded_dialogues_and_the_tasks_keys() -> None:
    episodes = [
        dialogue(0, ("1/2", "0.5"), ("pass", "pass")),
        dialogue(1, ("nothing", "7"), ("fail", "fail")),
        dialogue(2, ("0.5", "7"), ("pass", "error")),
    ]
    keys = {"1/2": "half", "0.5": "half", "7": "seven"}
    (found,) = pools(episodes, lambda problem_id, text: keys.get(text))
    assert found.keys_MT.tolist() == [[0, 0], [-1, 1]]
    assert found.passed_MT.tolist() == [[True, True], [False, False]]
    assert found.tokens_MT.tolist() == [[3, 3], [7, 1]]


def test_budgets_that_cannot_be_met_are_refused() -> None:
    small = [pool([(0, 0)] * 4)]
    with pytest.raises(UserError, match="needs as many graded dialogues a problem, and problem p has 4"):
        scale(small, [2, 8])
    with pytest.raises(UserError, match="even budgets"):
        scale(small, [3])
    with pytest.raises(UserError, match="at least one problem"):
        scale([], [2])
    with pytest.raises(UserError, match="dialogue of one attempt"):
        pools([dialogue(0, ("x",), ("pass",))], lambda problem_id, text: text)


def test_bands_cover() -> None:
    """The band of a point holds the truth about as often as it says."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        chance_P = rng.beta(2, 2, 100)
        problems = [pool([(0 if u < c else 1, 0) for u in rng.random(2)]) for c in chance_P]
        band = next(p.accuracy for p in scale(problems, [2], draws=4).points if p.way == "parallel")
        held += band.low <= 0.5 <= band.high
    assert 0.9 <= held / 200 <= 0.99
