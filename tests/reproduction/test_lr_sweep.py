"""As many trials for every trained method, on problems and a seed that no table has, and a choice that runs take up."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorebench.api import registry
from scorebench.api.errors import UserError
from scorebench.embedded import learning_rates
from scorebench.evaluation.session import Session
from scorebench.evaluation.settings import Settings
from scorebench.reproduction import ABLATIONS, METHODS
from scorebench.reproduction.jobs import lanes
from scorebench.reproduction.lr_sweep import SEED, VALUES, Key, choose, record, trials
from scorebench.reproduction.plan import table_jobs
from tests.made_episodes import run_of
from tests.report.test_rows import made

OUT = Path("results")


@pytest.fixture
def settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "settings.json"
    monkeypatch.setattr(learning_rates, "FILE", file)
    return file


def config_of(method: str, settings_set: list[str] | None = None) -> dict[str, Any]:
    """The configuration that a run of the method would train with."""
    session = Session(Settings(method=[method], task=["math"], set=settings_set or []))
    training, _ = session._training(registry.find("method", method), registry.find("task", "math"))
    return training.identity["method"]["config"]


def test_every_trained_method_has_the_same_values_and_no_seed_or_problem_of_the_table() -> None:
    found = trials(["math"], [*METHODS, *ABLATIONS], OUT, None)
    values: dict[Key, list[float]] = {}
    for trial in found:
        values.setdefault(trial.key, []).append(trial.value)
    assert {method for _, method in values} == {*METHODS, *ABLATIONS} - {"base", "self-refine"}
    assert all(tuple(own) == VALUES for own in values.values())
    table = table_jobs(["math"], METHODS, None, OUT, None)
    assert {trial.job.settings.split for trial in found} == {"validation"}
    assert SEED not in {job.settings.seed for job in table}
    assert len(lanes([trial.job for trial in found])) == len(found), "no two trials share a training"
    assert len({str(trial.job) for trial in found}) == len(found)


@pytest.mark.parametrize("method", ["score", "star", "pair-sft+", "score-star-stage2"])
def test_a_trial_sets_all_learning_rates_and_nothing_else(method: str, settings_file: Path) -> None:
    settings_file.write_text(json.dumps({"math": {method: 2.0}}))  # what was chosen before must not count
    preset = registry.find("method", method).preset(registry.find("task", "math"), embedded=True)
    for trial in trials(["math"], [method], OUT, None):
        config = config_of(method, trial.job.settings.set)
        expected = {path: rate * trial.value for path, rate in learning_rates.rates(preset.model_dump())}
        assert dict(learning_rates.rates(config)) == pytest.approx(expected)
        assert _without_rates(config) == _without_rates(preset.model_dump())


def _without_rates(values: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in values.items() if name != "learning_rate"}
    return {name: _without_rates(value) if isinstance(value, dict) else value for name, value in plain.items()}


def test_a_plain_run_trains_with_what_was_chosen_and_set_wins(settings_file: Path) -> None:
    before = config_of("score")
    settings_file.write_text(json.dumps({"math": {"score": 2.0, "star": 0.5}, "mbpp": {"score": 4.0}}))
    after = config_of("score")
    assert dict(learning_rates.rates(after)) == {path: 2 * rate for path, rate in learning_rates.rates(before)}
    assert _without_rates(after) == _without_rates(before)
    own = config_of("score", ["stage2.learning_rate=0.5"])
    assert own["stages"]["stage2"]["learning_rate"] == 0.5
    assert own["stages"]["stage1"] == after["stages"]["stage1"]


THREE = (0.5, 1.0, 2.0)


@given(st.lists(st.integers(0, 5), min_size=3, max_size=3))
def test_the_best_value_is_taken_and_of_equals_the_nearest_to_1(accuracies: list[int]) -> None:
    accuracy = dict(zip(THREE, map(float, accuracies), strict=True))
    value = choose(accuracy)
    assert accuracy[value] == max(accuracies)
    equals = [other for other in THREE if accuracy[other] == accuracy[value]]
    assert value == (1.0 if 1.0 in equals else min(equals))


def test_first_attempts_count_as_much_as_second_ones(tmp_path: Path, settings_file: Path) -> None:
    """At a ceiling of Acc@t2 the better first attempts win, and a point of either is worth a point of the other."""
    at_the_ceiling = {0.5: run_of(100, 60, 40, 0), 1.0: run_of(100, 75, 25, 0), 2.0: run_of(100, 70, 30, 0)}
    one_point_each = {0.5: run_of(100, 50, 12, 0), 1.0: run_of(100, 52, 8, 0), 2.0: run_of(100, 50, 11, 0)}
    for rows, wanted in ((at_the_ceiling, 1.0), (one_point_each, 1.0)):
        results = {("math", "score"): {value: made("score", SEED, some) for value, some in rows.items()}}
        assert record(results, tmp_path, trying=True) == {("math", "score"): wanted}


def test_trials_and_choice_are_recorded_beside_those_of_others(tmp_path: Path, settings_file: Path) -> None:
    def results(method: str, gains: tuple[int, int, int]) -> dict[Key, Any]:
        own = {v: made(method, SEED, run_of(100, 50, gain, 0)) for v, gain in zip(THREE, gains, strict=True)}
        return {("math", method): own}

    assert record(results("star", (5, 4, 3)), tmp_path, trying=False) == {("math", "star"): 0.5}
    assert record(results("score", (5, 7, 9)), tmp_path, trying=False) == {("math", "score"): 2.0}
    assert record(results("star", (1, 2, 2)), tmp_path, trying=False) == {("math", "star"): 1.0}
    assert json.loads(settings_file.read_text()) == {"math": {"star": 1.0, "score": 2.0}}
    with (tmp_path / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], row["value"], row["chosen"]) for row in rows] == [
        ("score", "0.5", "false"),
        ("score", "1.0", "false"),
        ("score", "2.0", "true"),
        ("star", "0.5", "false"),
        ("star", "1.0", "true"),
        ("star", "2.0", "false"),
    ]
    assert rows[2]["acc_t2"] == "0.59"
    record(results("pair-sft", (1, 2, 3)), tmp_path, trying=True)
    assert "pair-sft" not in settings_file.read_text()


def test_methods_that_do_not_train_have_no_trials() -> None:
    with pytest.raises(UserError, match="none of base, self-refine does"):
        trials(["math"], ["base", "self-refine"], OUT, None)
