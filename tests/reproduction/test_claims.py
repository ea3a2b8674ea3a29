"""The ten claims come out and do not come out as the rows are made, and never without rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorebench.api.types import Episode
from scorebench.report.summary import RunSummary, pool_seeds
from scorebench.reproduction import paper
from scorebench.reproduction.claims import CLAIMS, RIVALS, Claim, Evidence, claim_rows, judge
from scorebench.statistics.majority_vote import SamplePool, Scaling, scale
from tests.made_episodes import episode, run_of
from tests.report.test_rows import made

N = 4000
ALL = (*RIVALS, "score", "rl-single-turn", "score-no-stage1", "score-no-shaping")


def as_printed(method: str, seed: int = 0) -> list[Episode]:
    """N dialogues with the paper's shares on MATH; second attempts are copies where a method hardly edits."""
    five = paper.figures("math")[method]
    gains = five.get("i_to_c", max(five["delta"], 0.0) + 0.02)
    losses = five.get("c_to_i", gains - five["delta"])
    episodes = run_of(N, *(round(N * share) + seed for share in (five["acc_t1"], gains, losses)))
    if method in ("pair-sft", "pair-sft+", "star+"):
        episodes = [copied(one) if one.attempts[0].verdict == one.attempts[1].verdict else one for one in episodes]
        episodes = [copied(one) if int(one.problem_id) % 10 else one for one in episodes]
    return episodes


def copied(one: Episode) -> Episode:
    outcomes = "".join("01"[attempt.verdict.passed] for attempt in one.attempts)
    return episode(one.problem_id, outcomes, texts=["same", "same"])


def rows_of(methods: Mapping[str, list[list[Episode]]]) -> dict[str, RunSummary]:
    """Pooled rows by method, from the episodes of each seed."""
    runs = [made(name, number, run) for name, seeds in methods.items() for number, run in enumerate(seeds)]
    return {row.identity.method: row for row in pool_seeds(runs)}


def curve_of(second: float) -> Scaling:
    """A hundred problems; first attempts are right by half, second ones with this chance; wrong answers differ."""
    rng = np.random.default_rng(5)
    pools = []
    for number in range(100):
        passed_MT = rng.random((8, 2)) < np.array([0.5, second])
        keys_MT = np.where(passed_MT, 0, 1 + rng.integers(0, 2, (8, 2)))
        pools.append(SamplePool(str(number), keys_MT, passed_MT, np.ones((8, 2), dtype=np.int64)))
    return scale(pools, [2, 4, 8], draws=20)


PAPER_ROWS = rows_of({name: [as_printed(name, seed) for seed in range(3)] for name in ALL})
PAPER_EVIDENCE = Evidence("math", PAPER_ROWS, {"score": curve_of(1.0)})


def outcomes(evidence: Evidence) -> list[str]:
    return [claim.outcome for claim in judge(evidence)]


def test_all_ten_come_out_of_the_papers_own_shares() -> None:
    claims = judge(PAPER_EVIDENCE)
    assert [claim.number for claim in claims] == list(range(1, 11))
    assert [claim.outcome for claim in claims] == ["came out"] * 10, [claim.text for claim in claims]
    base, best = claims[0], claims[4]
    assert "delta of base -11.2" in base.text
    assert "below +1.0 in 3 of 3 seeds; the paper: -11.2" in base.text
    assert len(best.findings) == 2 * len(RIVALS)
    assert "pair-sft" in best.text, "the closest rival is named: its delta is 2.6 below SCoRe's"
    assert "11 other comparisons" in best.text


def test_nothing_comes_out_where_all_methods_are_one_that_gains() -> None:
    gaining = [run_of(N, 2000, 300, 20)]
    evidence = Evidence("math", rows_of(dict.fromkeys(ALL, gaining)), {"score": curve_of(0.2)})
    claims = judge(evidence)
    assert [claim.outcome for claim in claims] == ["did not come out"] * 10
    for number in (1, 2, 3, 4, 7, 10):
        assert claims[number - 1].text.startswith("The opposite is measured"), claims[number - 1].text
    for number in (5, 6, 8, 9):  # equal methods: neither side
        assert claims[number - 1].text.startswith("The rows do not show it")


@pytest.mark.parametrize("absent", ALL)
def test_a_claim_whose_rows_are_missing_never_comes_out(absent: str) -> None:
    rows = {name: row for name, row in PAPER_ROWS.items() if name != absent}
    judged = judge(Evidence("math", rows, {}))[: len(CLAIMS)]
    whole = judge(PAPER_EVIDENCE)[: len(CLAIMS)]
    for claim, before, (_, _, methods, besides) in zip(judged, whole, CLAIMS, strict=True):
        if absent in (*methods, *besides):
            assert claim.outcome == "cannot be judged"
            assert f"Rows are missing: {absent}" in claim.text
        else:
            assert claim == before


def test_without_any_rows_nothing_can_be_judged() -> None:
    assert outcomes(Evidence("math", {}, {})) == ["cannot be judged"] * 10


def test_one_seed_that_disagrees_is_enough() -> None:
    """Nine of the seeds lose so much that the pooled interval is clear; the tenth gains."""
    losing, gaining = run_of(N, 2000, 40, 400), run_of(N, 2000, 100, 40)
    star = judge(Evidence("math", rows_of({"star": [*[losing] * 9, gaining]}), {}))[2]
    assert star.findings[0].estimate.high < 0
    assert star.outcome == "did not come out"
    assert "in 9 of 10 seeds" in star.text
    assert judge(Evidence("math", rows_of({"star": [losing] * 3}), {}))[2].outcome == "came out"


counts = st.tuples(st.integers(0, 200), st.integers(0, 100), st.integers(0, 100)).filter(lambda c: c[2] <= c[0])


@settings(max_examples=60, deadline=None)
@given(counts, counts)
def test_two_methods_cannot_both_gain_less_than_the_other(ours: tuple[int, ...], theirs: tuple[int, ...]) -> None:
    def no_shaping(a: tuple[int, ...], b: tuple[int, ...]) -> Claim:
        rows = rows_of({"score-no-shaping": [run_of(300, *a)], "score": [run_of(300, *b)]})
        return judge(Evidence("math", rows, {}))[8]

    there, back = no_shaping(ours, theirs), no_shaping(theirs, ours)
    assert there.findings[0].estimate.value == pytest.approx(-back.findings[0].estimate.value)
    assert not (there.outcome == "came out" and back.outcome == "came out")
    if there.outcome == "came out":
        assert ours[1] - ours[2] < theirs[1] - theirs[2]
        assert back.findings[0].reversed == (there.findings[0].estimate.high < 0)


@settings(max_examples=60, deadline=None)
@given(counts, st.integers(1, 40))
def test_more_losses_never_speak_against_a_loss(shares: tuple[int, int, int], more: int) -> None:
    def claim(losses: int) -> Claim:
        return judge(Evidence("math", rows_of({"star": [run_of(400, 250, shares[1], losses)]}), {}))[2]

    before, after = claim(shares[2]), claim(shares[2] + more)
    assert after.findings[0].estimate.high < before.findings[0].estimate.high
    assert not (before.outcome == "came out" and after.outcome == "did not come out")


def test_a_row_of_claims_csv_says_what_was_claimed_and_found() -> None:
    rows = claim_rows("math", judge(PAPER_EVIDENCE))
    assert len(rows) == 1 + 1 + 1 + 3 + 12 + 1 + 1 + 1 + 1 + 1
    assert all(row["holds"] == "true" for row in rows)
    assert rows[0]["claimed"] == "below 0.01"
    assert rows[0]["paper"] == -0.112
