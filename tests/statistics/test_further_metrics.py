"""CL, CS, changed answers, a verifier's recall, tokens a net correction, form and answer: from made episodes."""

from __future__ import annotations

import math
import random
from typing import Literal

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from scorebench.api.types import Attempt, Episode, Message, Reply, Verdict
from scorebench.statistics import metrics
from scorebench.statistics.further_metrics import FURTHER, echoes, further, readings
from scorebench.statistics.intervals import wilson
from tests.made_episodes import OUTCOMES, episode, run_of

Reading = Literal["stated", "loose", "none", ""]


def read(problem: str, verdicts: str, found: tuple[Reading, Reading], echo: bool = False) -> Episode:
    """An episode whose answers were found in these ways."""
    attempts = tuple(
        Attempt(
            Reply("text", tokens=5),
            Verdict(OUTCOMES[verdict], None if word == "none" else verdict, reading=word, echo=echo),  # type: ignore[arg-type]
        )
        for verdict, word in zip(verdicts, found, strict=True)
    )
    return Episode(problem, 0, attempts)


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(["00", "01", "10", "11", "e1"])),
        min_size=1,
        max_size=80,
    )
)
def test_accuracy_is_made_of_cl_and_cs(drawn: list[tuple[int, str]]) -> None:
    """Acc@t2 = Acc@t1 CL + (1 - Acc@t1) CS to 1e-12, whatever the number of samples of a problem."""
    episodes = [episode(str(problem), verdicts, sample) for sample, (problem, verdicts) in enumerate(drawn)]
    whole, part = metrics.outcomes(episodes), metrics.outcomes(episodes[:40])
    for run in (whole, metrics.pool([whole, part])):
        found = further(run)
        if run.n:
            t1, t2 = metrics.accuracy(run, 1).value, metrics.accuracy(run, 2).value
            kept = 0.0 if t1 == 0 else t1 * found["cl"].value
            mended = 0.0 if t1 == 1 else (1 - t1) * found["cs"].value
            assert abs(t2 - kept - mended) <= 1e-12


def test_cl_and_cs_of_one_sample_are_wilsons_shares() -> None:
    found = further(metrics.outcomes(run_of(100, 60, 10, 6)))
    assert found["cl"] == pytest.approx((54 / 60, *wilson(54 / 60, 60)))
    assert found["cs"] == pytest.approx((10 / 40, *wilson(10 / 40, 40)))


def test_a_share_of_nothing_is_unknown() -> None:
    found = further(metrics.outcomes(run_of(10, 10, 0, 0)))
    assert found["cl"].value == 1.0
    assert math.isnan(found["cs"].value)
    assert all(math.isnan(estimate.value) for estimate in further(metrics.outcomes([episode("a", "1")])).values())
    assert tuple(found) == FURTHER


def clustered_share(rng: np.random.Generator) -> bool:
    """Whether CL's interval holds the truth, with 4 samples of each of 200 problems, whose chances differ."""
    first_P, kept_P = rng.beta(1, 1, 200), rng.beta(4, 1, 200)
    episodes = [
        episode(str(p), ("1" if rng.random() < first else "0") + ("1" if rng.random() < kept else "0"), sample)
        for p, (first, kept) in enumerate(zip(first_P, kept_P, strict=True))
        for sample in range(4)
    ]
    low, high = further(metrics.outcomes(episodes))["cl"][1:]
    return low <= 0.8 <= high


def test_intervals_of_conditional_shares_hold_the_truth_with_clustered_samples() -> None:
    rng = np.random.default_rng(5)
    held = sum(clustered_share(rng) for _ in range(100))
    assert scipy.stats.binomtest(held, 100, 0.95).pvalue > 0.005, held


def test_changed_answers_among_right_and_wrong_first_attempts() -> None:
    episodes = [
        episode("a", "11", texts=["7", "7"]),
        episode("b", "11", texts=["7", "7.0"]),
        episode("c", "00", texts=["1", "2"]),
        episode("d", "00", texts=["1", "1"]),
        read("e", "00", ("none", "none")),
    ]
    found = further(metrics.outcomes(episodes))
    assert found["changed_right"].value == 0.5
    assert found["changed_wrong"].value == pytest.approx(1 / 3)


def test_what_is_only_form_stands_apart_from_answers() -> None:
    episodes = [
        read("a", "01", ("none", "stated")),  # the answer was only not said
        read("b", "01", ("loose", "stated")),  # another answer
        read("c", "01", ("stated", "stated")),
        read("d", "10", ("stated", "none")),
        read("e", "10", ("stated", "loose")),
        read("f", "11", ("loose", "stated")),
        read("g", "00", ("none", "none")),
        read("h", "00", ("none", "stated")),
        read("i", "1e", ("none", "stated")),  # not graded: in no figure
    ]
    run = metrics.outcomes(episodes)
    found = further(run)
    assert found["i_to_c_form"].value == found["c_to_i_form"].value == 1 / 8
    assert found["format_gain"].value == 0.0
    assert found["answer_gain"].value == pytest.approx(1 / 8)
    assert found["format_gain"].value + found["answer_gain"].value == pytest.approx(metrics.delta(run).value)
    assert readings(run, 1) == {"stated": 3 / 8, "loose": 2 / 8, "none": 3 / 8}
    assert readings(run, 2)["stated"] == 5 / 8


def test_older_rows_say_only_whether_there_is_an_answer() -> None:
    old = [read("a", "01", ("none", "")), read("b", "11", ("", ""))]
    for episode_ in old:  # as they were stored: without a reading
        assert {attempt.verdict.reading for attempt in episode_.attempts} <= {"", "none"}
    run = metrics.outcomes(old)
    assert readings(run, 1)["none"] == 0.5
    assert math.isnan(readings(run, 1)["stated"])
    assert math.isnan(readings(run, 3)["none"])


def test_echoes_are_counted_and_those_that_passed() -> None:
    run = metrics.outcomes([read("a", "01", ("stated", "stated"), echo=True), read("b", "11", ("stated", "stated"))])
    assert echoes(run) == (2, 1)


def checked(problem: str, verdicts: str, finds: Literal["right", "wrong"]) -> Episode:
    """A dialogue with a check between the attempts: the answer is kept, or written anew."""
    first, second = Reply("first", tokens=10), Reply("second", tokens=20)
    kept = finds == "right"
    transcript: list[Message] = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": "Verify."},
        {"role": "assistant", "content": f"It is {finds}."},
    ]
    if not kept:
        transcript.append({"role": "assistant", "content": "second"})
    verdicts_ = [Verdict(OUTCOMES[letter]) for letter in verdicts]  # type: ignore[arg-type]
    replies = (first, first if kept else second)
    attempts = tuple(Attempt(reply, verdict) for reply, verdict in zip(replies, verdicts_, strict=True))
    return Episode(problem, 0, attempts, tuple(transcript))


def test_a_verifiers_recall_is_read_from_the_transcript() -> None:
    episodes = [
        *(checked(f"a{i}", "11", "right") for i in range(3)),
        checked("b", "10", "wrong"),
        *(checked(f"c{i}", "01", "wrong") for i in range(2)),
        *(checked(f"d{i}", "00", "right") for i in range(6)),
    ]
    found = further(metrics.outcomes(episodes))
    assert found["verifier_right"].value == 3 / 4
    assert found["verifier_wrong"].value == 2 / 8


def test_a_method_that_always_answers_again_has_no_verifier() -> None:
    found = further(metrics.outcomes([checked("a", "11", "wrong"), checked("b", "00", "wrong")]))
    assert math.isnan(found["verifier_right"].value)
    assert math.isnan(further(metrics.outcomes(run_of(10, 5, 1, 1)))["verifier_wrong"].value)


def test_tokens_for_each_net_correction() -> None:
    run = metrics.outcomes(run_of(100, 50, 12, 2))  # each reply is two tokens long
    found = further(run)["tokens_per_correction"]
    delta = metrics.delta(run)
    assert found == pytest.approx((2 / 0.1, 2 / delta.high, 2 / delta.low))
    assert further(metrics.outcomes(run_of(100, 50, 3, 1)))["tokens_per_correction"].high == math.inf
    assert math.isnan(further(metrics.outcomes(run_of(100, 50, 2, 2)))["tokens_per_correction"].value)


def test_pooled_seeds_keep_whose_samples_are_whose() -> None:
    rng = random.Random(1)
    runs = [
        metrics.outcomes([episode(str(i), rng.choice(["00", "01", "10", "11"])) for i in range(50)]) for _ in range(3)
    ]
    pooled = metrics.pool(runs)
    assert pooled.seeds == 3
    for seed, run in enumerate(runs):
        assert pooled.share_SP(pooled.at(2))[seed].tolist() == run.share_P(run.at(2)).tolist()
