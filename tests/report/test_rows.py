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


def made(method: str = "base", seed: int = 0, episodes: list[Episode] | None = None, **changes: Any) -> RunSummary:
    episodes = run_of(100, 50, 10, 5) if episodes is None else episodes
    return summarize(meta(method, seed, **changes), episodes, f"{method}-{seed}")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_columns_are_the_contracts() -> None:
    runs = [made(), made("score")]
    assert list(read(leaderboard_csv(runs))[0]) == FIXED
    assert list(read(compare(runs, "csv"))[0]) == FIXED
    assert list(json.loads(compare(runs, "json"))[0]) == FIXED
    assert leaderboard_csv([]) == ",".join(FIXED) + "\n"


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


def test_baselines_that_are_not_there_or_are_two_are_refused() -> None:
    with pytest.raises(UserError, match="No run of the baseline 'pair-sft'"):
        compare([made()], "json", baseline="pair-sft")
    two = [made(), made("base", 1, sampling={"temperature": 1.0}), made("score")]
    with pytest.raises(UserError, match="different settings"):
        compare(two, "json", baseline="base")
    assert compare(two, "json", baseline="base-1")


def test_seeds_are_pooled_only_within_one_configuration() -> None:
    runs = [made("score", 0), made("score", 1), made("score", 0, config={"alpha": 0.0})]
    pooled = pool_seeds(runs)
    assert [len(summary.seeds) for summary in pooled] == [2, 0]
    assert pooled[0].identity.seconds == 25.0


def test_each_seed_has_its_own_training_and_fewer_problems_are_another_configuration() -> None:
    seeds = [made("score", seed, training={"name": f"score-s{seed}", "digest": str(seed)}) for seed in range(3)]
    limited = made("score", 3, problems={"count": 50, "digest": "ab"})
    assert [len(summary.seeds) for summary in pool_seeds([*seeds, limited])] == [3, 0]
