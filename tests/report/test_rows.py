"""The machine-readable tables: their columns, their units, and what they say about unfinished runs."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

from scorebench.api.errors import UserError
from scorebench.api.types import Episode
from scorebench.report.compare import compare, leaderboard_csv
from scorebench.report.rows import LEADERBOARD
from scorebench.report.summary import RunSummary, pool_seeds, summarize
from tests.made_episodes import episode, run_of

# DESIGN.md, section 3, Metrics.
FIXED = ["task", "data", "method", "model", "seed", "turns", "n"]
FIXED += ["acc_t1", "acc_t1_low", "acc_t1_high", "acc_t2", "acc_t2_low", "acc_t2_high"]
FIXED += [
    "delta",
    "delta_low",
    "delta_high",
    "i_to_c",
    "i_to_c_low",
    "i_to_c_high",
    "c_to_i",
    "c_to_i_low",
    "c_to_i_high",
]
FIXED += ["truncated", "errors", "tokens", "seconds", "run"]


def meta(method: str = "base", seed: int = 0, config: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "task": {"name": "math", "version": "1"},
        "data": "embedded",
        "method": {"name": method, "config": config or {"alpha": 10.0}},
        "model": {"name": "embedded-math", "digest": "0123"},
        "sampling": {"temperature": 0.0},
        "turns": 2,
        "samples": 1,
        "seed": seed,
        "seconds": 12.5,
        **changes,
    }


UNTRAINED = ("base", "self-refine", "resample", "oracle", "pag")


def made(method: str = "base", seed: int = 0, episodes: list[Episode] | None = None, **changes: Any) -> RunSummary:
    """A run's summary. A method that is not in UNTRAINED has a checkpoint of its own for each seed."""
    episodes = run_of(100, 50, 10, 5) if episodes is None else episodes
    training = None if method in UNTRAINED else {"name": f"{method}-s{seed}", "digest": f"{method}{seed}"}
    return summarize(meta(method, seed, **{"training": training, **changes}), episodes, f"{method}-{seed}")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_columns_are_the_contracts() -> None:
    """The contract's columns come first and in their order; those behind them have stable names too."""
    runs = [made(), made("score")]
    assert list(read(leaderboard_csv(runs))[0]) == list(LEADERBOARD)
    assert list(LEADERBOARD)[: len(FIXED)] == FIXED
    assert list(read(compare(runs, "csv"))[0])[: len(FIXED)] == FIXED
    assert list(json.loads(compare(runs, "json"))[0]) == list(LEADERBOARD)[:-1], "all but the rank"
    assert leaderboard_csv([]) == ",".join(LEADERBOARD) + "\n"
    for name in ("cl", "cs", "changed_right", "verifier_wrong", "tokens_per_correction", "format_gain", "answer_gain"):
        assert {name, f"{name}_low", f"{name}_high"} <= set(LEADERBOARD)


def test_figures_are_fractions_of_one() -> None:
    row = json.loads(compare([made()], "json"))[0]
    assert (row["n"], row["turns"], row["errors"], row["tokens"]) == (100, 2, 0, 4.0)
    assert (row["acc_t1"], row["acc_t2"], row["delta"], row["i_to_c"], row["c_to_i"]) == (0.5, 0.55, 0.05, 0.1, 0.05)
    for name in ("acc_t1", "acc_t2", "delta", "i_to_c", "c_to_i"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_csv_and_json_say_the_same() -> None:
    runs = [made("base", s) for s in range(2)] + [made("score", 0, run_of(100, 60, 10, 1))]
    for fields, cells in zip(
        json.loads(compare(runs, "json", baseline="base")), read(compare(runs, "csv", baseline="base")), strict=True
    ):
        assert {key: "" if value is None else str(value) for key, value in fields.items()} == cells


def test_one_turn_has_no_delta_and_no_number_is_made_up() -> None:
    row = json.loads(compare([made(episodes=[episode("a", "1"), episode("b", "0")], turns=1)], "json"))[0]
    assert row["acc_t1"] == 0.5
    assert row["acc_t2"] is row["delta"] is row["i_to_c_low"] is None


def test_a_row_for_each_seed_and_more_columns_only_where_needed() -> None:
    runs = [made("score", seed) for seed in range(3)]
    assert [row["seed"] for row in json.loads(compare(runs, "json"))] == [0, 1, 2]
    three = [episode(str(i), "011", sample) for i in range(4) for sample in range(2)]
    rows = json.loads(compare([*runs, made("base", episodes=three, problems={"count": 5}, samples=2)], "json"))
    assert list(rows[0])[: len(FIXED)] == FIXED
    assert [row["samples"] for row in rows] == [1, 1, 1, 2]
    assert [row["missing"] for row in rows] == [0, 0, 0, 2]
    assert [row["acc_t3"] for row in rows] == [None, None, None, 1.0]
    assert rows[3]["delta_t3"] == 0.0


def test_errors_are_shown_beside_the_n_they_leave() -> None:
    row = json.loads(compare([made(episodes=[episode("a", "01"), episode("b", "e1")])], "json"))[0]
    assert (row["n"], row["errors"], row["acc_t2"]) == (1, 1, 1.0)


def test_leaderboard_ranks_within_a_task_and_data_and_leaves_unfinished_runs_out() -> None:
    low, high = made("base"), made("score", 0, run_of(100, 60, 10, 1))
    hub = made("base", 0, run_of(100, 99, 1, 0), data="hub")
    unfinished = made("star", 0, run_of(100, 90, 1, 0), problems={"count": 500})
    rows = read(leaderboard_csv([low, hub, unfinished, high]))
    assert [(row["data"], row["method"]) for row in rows] == [
        ("embedded", "score"),
        ("embedded", "base"),
        ("hub", "base"),
    ]


def test_baseline_is_met_on_the_same_seed_and_problems() -> None:
    runs = [
        made("base", 0, run_of(100, 50, 0, 0)),
        made("base", 1, run_of(100, 10, 0, 0)),
        made("score", 0, run_of(90, 60, 10, 0)),
        made("score", 7, run_of(100, 60, 0, 0)),
        made("score", 0, run_of(100, 60, 0, 0), data="hub"),
    ]
    rows = json.loads(compare(runs, "json", baseline="base"))
    assert [row["acc_t2_difference"] for row in rows] == [None, None, pytest.approx(20 / 90, abs=1e-6), 0.3, None]
    assert rows[2]["baseline_problems"] == 90
    assert rows[2]["p_value"] == pytest.approx(2 / 2**20, rel=1e-3)


def test_a_baseline_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="No run of the baseline 'pair-sft'"):
        compare([made()], "json", baseline="pair-sft")


def test_of_several_baselines_the_one_with_the_same_settings_is_met() -> None:
    """And the comparison says how they differ where none has them."""
    cold, hot = {"temperature": 0.0}, {"temperature": 1.0}
    two = [made("base", 0, run_of(100, 50, 0, 0)), made("base", 0, run_of(100, 20, 0, 0), sampling=hot)]
    rows = json.loads(compare([*two, made("score", sampling=cold), made("score", sampling=hot)], "json", "base"))
    assert [row["acc_t2_difference"] for row in rows] == [None, None, 0.05, 0.35]
    between = made("score", sampling={"temperature": 0.5})
    assert json.loads(compare([*two, between], "json", "base"))[2]["acc_t2_difference"] is None
    text = " ".join(compare([*two, between], "table", "base").split())
    assert "score is compared with no run of base" in text
    assert "temperature 0.5 against 0.0" in text
    alone = " ".join(compare([two[0], between], "table", "base").split())
    assert "score and base were not run alike: temperature 0.5 against 0.0." in alone
    assert json.loads(compare([two[0], between], "json", "base"))[1]["acc_t2_difference"] == 0.05


def test_seeds_are_pooled_only_within_one_configuration() -> None:
    runs = [made("score", 0), made("score", 1), made("score", 0, config={"alpha": 0.0})]
    pooled = pool_seeds(runs)
    assert [len(summary.seeds) for summary in pooled] == [2, 0]
    assert pooled[0].identity.seconds == 25.0


def test_each_seed_has_its_own_training_and_fewer_problems_are_another_configuration() -> None:
    seeds = [made("score", seed, training={"name": f"score-s{seed}", "digest": str(seed)}) for seed in range(3)]
    limited = made("score", 3, problems={"count": 50, "digest": "ab"})
    assert [len(summary.seeds) for summary in pool_seeds([*seeds, limited])] == [3, 0]


def test_greedy_runs_without_training_that_are_equal_are_one_run() -> None:
    same, other = run_of(100, 50, 10, 5), run_of(100, 50, 11, 5)
    (one,) = pool_seeds([made("base", seed, same) for seed in range(5)])
    assert (one.seeds, one.equal_runs) == ((), 5)
    assert one.five() == made("base", 0, same).five()
    # Where a machine's arithmetic makes them differ they are runs; sampled and trained ones always are.
    assert len(pool_seeds([made("base", 0, same), made("base", 1, other), made("base", 2, same)])[0].seeds) == 2
    assert len(pool_seeds([made("base", s, same, sampling={"temperature": 0.7}) for s in range(3)])[0].seeds) == 3
    assert len(pool_seeds([made("score", s, same) for s in range(3)])[0].seeds) == 3


def test_rows_say_what_they_are() -> None:
    asked = {"limit": 100, "set": ["stage1.steps=0"], "model": "checkpoints/math-score-s0/model"}
    described = made(
        "score",
        sampling={"temperature": 0.7, "top_p": 0.95, "max_tokens": 64},
        system_prompt="Be brief.",
        split="validation",
        engine="hf",
        reading="strict",
        problems={"count": 100, "digest": "ab"},
        asked=asked,
        trained_with={"replies": 25600, "sampled_tokens": 900000, "gradient_steps": 100},
    )
    row = json.loads(compare([described], "json"))[0]
    told = {
        "temperature": 0.7,
        "top_p": 0.95,
        "max_tokens": 64,
        "system_prompt": "Be brief.",
        "split": "validation",
        "engine": "hf",
        "reading": "strict",
        "limit": 100,
        "settings": "stage1.steps=0",
        "training": "score-s0",
        "training_replies": 25600,
        "training_gradient_steps": 100,
        "training_examples": None,
    }
    assert {name: row[name] for name in told} == told
    more = made(problems={"count": 100}, asked={"limit": 500})
    assert more.identity.limit is None, "a limit above the benchmark's size took all of it"


def test_a_checkpoint_is_called_after_its_training() -> None:
    run = made(model={"name": "model", "digest": "01"}, asked={"model": "results/checkpoints/math-score-s0/model"})
    assert run.identity.model == "math-score-s0"
    assert made(model={"name": "model", "digest": "01"}).identity.model == "model", "an old run does not say"


def test_an_oracle_is_labelled_and_never_ranked() -> None:
    runs = [made("base"), made("oracle", 0, run_of(100, 50, 50, 0)), made("score", 0, run_of(100, 50, 20, 0))]
    rows = read(leaderboard_csv(runs))
    assert [(row["method"], row["rank"], row["oracle"]) for row in rows] == [
        ("score", "1", "0"),
        ("base", "2", "0"),
        ("oracle", "", "1"),
    ]
    by_name = summarize(meta("pag"), run_of(100, 50, 50, 0), "math-pag-with-oracle-s0")
    assert "pag (oracle)" in compare([by_name])


def test_ranks_do_not_cross_splits_and_limits() -> None:
    whole, part = {"count": 100, "digest": "all"}, {"count": 50, "digest": "first"}
    runs = [
        made("base", problems=whole),
        made("score", 0, run_of(50, 40, 5, 0), problems=part),
        made("star", 0, run_of(100, 60, 0, 0), problems=whole),
    ]
    assert [(row["method"], row["rank"]) for row in read(leaderboard_csv(runs))] == [
        ("score", "1"),
        ("star", "1"),
        ("base", "2"),
    ]


def test_the_gain_over_a_second_chance_stands_beside_the_gain() -> None:
    control = made("resample", 0, run_of(100, 50, 8, 2))
    score = made("score", 0, run_of(100, 50, 20, 0))
    elsewhere = made("base", data="hub")
    rows = json.loads(compare([control, score, elsewhere], "json"))
    assert [row["gain_over_resample"] for row in rows] == [None, 0.14, None]
    assert rows[1]["gain_over_resample_low"] < 0.14 < rows[1]["gain_over_resample_high"]
    assert rows[1]["resample_run"] == "resample-0"
    trained = made("resample", 1, run_of(100, 50, 15, 0), training={"name": "score-s0", "digest": "score0"})
    row = json.loads(compare([control, trained, score], "json"))[2]
    assert (row["gain_over_resample"], row["resample_run"]) == (0.05, "resample-1"), "of the same weights"


def test_several_methods_against_one_baseline_are_corrected_and_said_in_words() -> None:
    runs = [
        made("base", 0, run_of(200, 100, 0, 0)),
        made("star", 0, run_of(200, 107, 0, 0)),
        made("score", 0, run_of(200, 160, 0, 0)),
        made("pag", 0, run_of(200, 60, 0, 0)),
    ]
    rows = json.loads(compare(runs, "json", baseline="base"))
    assert rows[1]["p_value"] == pytest.approx(2 / 2**7, rel=1e-3)
    assert rows[1]["p_value_holm"] == rows[1]["p_value"], "the largest of the three stays as it is"
    assert rows[2]["p_value_holm"] == pytest.approx(3 * rows[2]["p_value"], rel=1e-3)
    assert [row["conclusion"] for row in rows] == [None, "better", "better", "worse"]
    close = made("score", 0, run_of(200, 103, 0, 0))
    assert json.loads(compare([runs[0], close], "json", baseline="base"))[1]["conclusion"] == "not distinguishable"


def test_a_cell_that_a_spreadsheet_would_run_is_no_formula() -> None:
    run = made("base", system_prompt="=HYPERLINK(1)", model={"name": "@SUM(A1)"}, engine="-1+2")
    (row,) = read(compare([run], "csv"))
    assert (row["system_prompt"], row["model"], row["engine"]) == ("'=HYPERLINK(1)", "'@SUM(A1)", "'-1+2")
    worse = made("base", 0, run_of(100, 50, 0, 10))
    assert read(compare([worse], "csv"))[0]["delta"] == "-0.1", "a number stays one"
    assert json.loads(compare([run], "json"))[0]["model"] == "@SUM(A1)"


def test_published_figures_are_rows_of_their_own() -> None:
    run = made("base", data="hub")
    rows = json.loads(compare([run], "json", published=True))
    assert rows[0]["data"] == "hub"
    assert rows[0]["protocol"] is None
    theirs = [row for row in rows if row["data"] == "published"]
    score = next(row for row in theirs if row["method"] == "SCoRe" and row["model"] == "Gemini 1.5 Flash")
    assert (score["acc_t1"], score["acc_t2"], score["delta"]) == (0.6, 0.644, 0.044)
    assert "greedy" in score["protocol"]
    assert all(row["run"] is None and row["protocol"] and row["source"] for row in theirs)
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
