"""The five metrics on made episodes: identities, errors, ragged samples, seeds, comparisons, edit distance."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from scorebench.api.errors import UserError
from scorebench.api.types import Attempt, Episode, Reply, Verdict
from scorebench.statistics import metrics
from tests.made_episodes import episode, run_of

verdict_lists = st.lists(st.sampled_from(["00", "01", "10", "11", "e1", "0e"]), min_size=1, max_size=60)


@given(verdict_lists)
def test_the_identity_of_the_paper_holds_whatever_was_graded(verdicts: list[str]) -> None:
    """Acc@t2 = Acc@t1 + i->c - c->i, with each of the four over the same problems."""
    run = metrics.outcomes([episode(str(i), v) for i, v in enumerate(verdicts)])
    t1, t2 = metrics.accuracy(run, 1).value, metrics.accuracy(run, 2).value
    if run.n:
        assert t2 == pytest.approx(t1 + metrics.i_to_c(run).value - metrics.c_to_i(run).value)
        assert metrics.delta(run).value == pytest.approx(t2 - t1)
    assert run.n + run.errors == len(verdicts)


def test_an_error_is_neither_right_nor_wrong_and_is_counted() -> None:
    run = metrics.outcomes([episode("a", "01"), episode("b", "11"), episode("c", "1e"), episode("d", "e0")])
    assert (run.n, run.errors) == (2, 2)
    assert metrics.accuracy(run, 1).value == 0.5
    assert metrics.accuracy(run, 2).value == 1.0
    assert metrics.c_to_i(run).value == 0.0


def test_a_run_of_errors_only_has_no_figures() -> None:
    run = metrics.outcomes([episode("a", "e0")])
    assert (run.n, run.errors) == (0, 1)
    assert math.isnan(metrics.accuracy(run, 1).value)
    assert math.isnan(metrics.delta(run).value)


def test_no_episodes_have_no_figures() -> None:
    run = metrics.outcomes([])
    assert (run.n, run.errors, run.turns) == (0, 0, 0)
    assert math.isnan(metrics.accuracy(run, 1).value)


def test_flips_between_any_two_turns() -> None:
    run = metrics.outcomes([episode("a", "011"), episode("b", "110"), episode("c", "001"), episode("d", "010")])
    assert [metrics.accuracy(run, turn).value for turn in (1, 2, 3)] == [0.25, 0.75, 0.5]
    assert metrics.delta(run, 2, 3).value == -0.25
    assert metrics.i_to_c(run, 2, 3).value == 0.25
    assert metrics.c_to_i(run, 2, 3).value == 0.5
    assert metrics.i_to_c(run, 1, 3).value == 0.5
    assert math.isnan(metrics.accuracy(run, 4).value)


def test_a_single_turn_has_an_accuracy_and_no_delta() -> None:
    run = metrics.outcomes([episode("a", "0"), episode("b", "1")])
    assert metrics.accuracy(run, 1).value == 0.5
    assert math.isnan(metrics.delta(run).value)


def test_each_problem_weighs_the_same_however_often_it_was_sampled() -> None:
    often = [episode("a", "11", sample) for sample in range(9)]
    run = metrics.outcomes([*often, episode("b", "00")])
    assert metrics.accuracy(run, 1).value == 0.5
    assert list(run.samples_P) == [9, 1]


def test_an_error_among_samples_takes_only_that_sample_away() -> None:
    run = metrics.outcomes([episode("a", "11", 0), episode("a", "e1", 1), episode("b", "00", 0), episode("b", "01", 1)])
    assert (run.n, run.errors) == (2, 1)
    assert metrics.accuracy(run, 2).value == 0.75


def test_order_of_rows_changes_nothing() -> None:
    episodes = [episode(str(i % 20), random.Random(i).choice(["00", "01", "10", "11"]), i // 20) for i in range(70)]
    shuffled = random.Random(0).sample(episodes, len(episodes))
    for figure in (metrics.delta, metrics.i_to_c, metrics.c_to_i):
        assert figure(metrics.outcomes(episodes)) == pytest.approx(figure(metrics.outcomes(shuffled)))


def test_rows_that_cannot_be_one_run_are_refused() -> None:
    with pytest.raises(UserError, match="sample 0 twice"):
        metrics.outcomes([episode("a", "01"), episode("a", "11")])
    with pytest.raises(UserError, match="equal numbers of attempts"):
        metrics.outcomes([episode("a", "01"), episode("b", "011")])


def test_pooled_seeds_are_clusters_and_not_more_problems() -> None:
    seeds = [metrics.outcomes(run_of(200, 100, 20, 10)) for _ in range(3)]
    pooled = metrics.pool(seeds)
    assert (pooled.n, list(set(pooled.samples_P))) == (200, [3])
    # Three identical seeds tell nothing that one does not.
    assert metrics.delta(pooled) == pytest.approx(metrics.delta(seeds[0]))
    assert metrics.accuracy(pooled, 1) == pytest.approx(metrics.accuracy(seeds[0], 1))


def test_pooled_seeds_that_differ_narrow_the_interval() -> None:
    rng = random.Random(1)
    seeds = [
        metrics.outcomes([episode(str(i), rng.choice(["00", "01", "10", "11"])) for i in range(200)]) for _ in range(4)
    ]
    one, pooled = metrics.accuracy(seeds[0], 2), metrics.accuracy(metrics.pool(seeds), 2)
    assert pooled.value == pytest.approx(np.mean([metrics.accuracy(seed, 2).value for seed in seeds]))
    # Half as wide if seeds could not differ; another seed's possible difference takes some of that away.
    assert 0.5 < (pooled.high - pooled.low) / (one.high - one.low) < 0.9


def test_pooling_joins_problems_by_name() -> None:
    first = metrics.outcomes([episode("a", "11"), episode("b", "00")])
    second = metrics.outcomes([episode("b", "11"), episode("c", "e1")])
    pooled = metrics.pool([first, second])
    assert pooled.problem_ids == ("a", "b", "c")
    assert (pooled.n, pooled.errors) == (2, 1)
    assert metrics.accuracy(pooled, 1).value == 0.75


def test_spread_is_the_standard_deviation_over_seeds() -> None:
    assert metrics.spread([0.1, 0.2, 0.3]) == pytest.approx(0.1)
    assert math.isnan(metrics.spread([0.1]))


def test_comparison_is_paired_by_problem_and_tested_by_mcnemar() -> None:
    ours = [episode(str(i), "01") for i in range(40)] + [episode(str(i), "11") for i in range(40, 100)]
    theirs = [episode(str(i), "10" if i < 30 else "11") for i in reversed(range(100))]
    comparison = metrics.compare(metrics.outcomes(ours), metrics.outcomes(theirs))
    assert comparison.problems == 100
    assert comparison.acc_t2.value == pytest.approx(0.3)
    assert comparison.delta.value == pytest.approx(0.7)
    assert comparison.acc_t2.low > 0.2
    assert comparison.p_value == pytest.approx(scipy.stats.binomtest(30, 30).pvalue)


def test_comparison_uses_the_problems_that_both_have() -> None:
    ours = metrics.outcomes([episode("a", "01"), episode("b", "11"), episode("c", "1e")])
    theirs = metrics.outcomes([episode("b", "10"), episode("c", "11"), episode("d", "00")])
    comparison = metrics.compare(ours, theirs)
    assert comparison.problems == 1
    assert comparison.acc_t2.value == 1.0
    nothing = metrics.compare(ours, metrics.outcomes([episode("x", "11")]))
    assert nothing.problems == 0
    assert math.isnan(nothing.acc_t2.value)


def test_comparison_of_several_samples_has_a_test_too() -> None:
    rng = random.Random(3)
    weak = [episode(str(i), rng.choice(["00", "01", "10"]), s) for i in range(80) for s in range(3)]
    strong = [episode(str(i), rng.choice(["01", "11", "00"]), s) for i in range(80) for s in range(3)]
    comparison = metrics.compare(metrics.outcomes(strong), metrics.outcomes(weak))
    assert comparison.p_value < 0.001
    assert comparison.acc_t2.low > 0
    same = metrics.compare(metrics.outcomes(weak), metrics.outcomes(weak))
    assert same.p_value == 1.0
    assert same.acc_t2.value == 0


def test_flips_by_tag() -> None:
    episodes = [
        episode("a", "01", level=5),
        episode("b", "10", level=1),
        episode("c", "01", level=5),
        episode("d", "11"),
    ]
    groups = metrics.by_tag(episodes, "level")
    assert list(groups) == [1, 5]
    assert metrics.i_to_c(groups[5]).value == 1.0
    assert metrics.c_to_i(groups[1]).value == 1.0
    assert metrics.by_tag(episodes, "subject") == {}


def cut_off(finish_reason: str, tokens: int) -> Attempt:
    reply = Reply("x", tokens=tokens, finish_reason=finish_reason)  # type: ignore[arg-type]
    return Attempt(reply, Verdict("fail"))


def test_truncated_attempts_and_tokens_are_counted_by_turn() -> None:
    episodes = [
        Episode("a", 0, (cut_off("length", 10), cut_off("stop", 4))),
        Episode("b", 0, (cut_off("length", 20), cut_off("length", 2))),
    ]
    assert metrics.truncated(episodes) == (2, 1)
    assert metrics.mean_tokens(episodes) == (15.0, 3.0)
    assert all(math.isnan(tokens) for tokens in metrics.mean_tokens([Episode("a", 0, (cut_off("stop", 0),))]))


def test_unchanged_answers_and_texts() -> None:
    episodes = [
        episode("a", "11", texts=["same", "same"]),
        episode("b", "01", texts=["abcd", "wxyz"]),
        episode("c", "1e", texts=["left", "out!"]),
        Episode("d", 0, tuple(Attempt(Reply(text), Verdict("fail", answer=None)) for text in ("no answer", "nothing"))),
        Episode("e", 0, tuple(Attempt(Reply(text), Verdict("pass", answer="7")) for text in ("so 7", "it is 7"))),
    ]
    edits = metrics.edits(episodes)
    assert edits.same_text == 0.25
    assert edits.same_answer == 0.5
    assert list(edits.ratios[:2]) == [0.0, 0.5]
    assert len(edits.ratios) == 4
    assert len(metrics.edits([episode("a", "1")]).ratios) == 0


def edit_distance_by_table(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


@given(st.text("abcé𝔸 ", max_size=30), st.text("abcé𝔸 ", max_size=30))
def test_edit_ratio_is_levenshtein_over_total_length(first: str, second: str) -> None:
    total = len(first) + len(second)
    assert metrics.edit_ratio(first, second) == (edit_distance_by_table(first, second) / total if total else 0.0)
