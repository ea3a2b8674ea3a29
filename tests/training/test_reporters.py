"""Trackers get the numbers of the logs; one that fails is dropped aloud; none changes what is trained."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from scorebench.api.errors import UserError
from scorebench.evaluation.settings import settings_from
from scorebench.methods.score import score
from scorebench.training import reporters
from scorebench.training.reporters import Reporter, flat
from tests.training.test_monitor import assert_same_weights, watched
from tests.training.test_score import CONFIG, context, short, steps


def test_tensorboard_holds_what_the_logs_hold(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reporter = Reporter(["tensorboard"], tmp_path)
    score.train(watched(tmp_path, report=reporter), short(CONFIG, 3))
    reporter.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    rows = steps(tmp_path / "stage2")
    for name, key, turn in (("reward", "reward", None), ("kl_t2", "kl", 1), ("correct_t1", "correct", 0)):
        found = [(event.step, event.value) for event in events.Scalars(f"stage2/{name}")]
        logged = [row[key] if turn is None else row[key][turn] for row in rows]
        assert [step for step, _ in found] == [1, 2, 3]
        assert [value for _, value in found] == pytest.approx(logged, rel=1e-6)
    assert [event.step for event in events.Scalars("stage1/validation/unchanged")] == [0, 2, 3]


TRACKIO = """
import json, sys
from pathlib import Path
from scorebench.training.reporters import Reporter
reporter = Reporter(["trackio"], Path(sys.argv[1]))
for step in (1, 2):
    reporter("stage1", step, {"reward": step / 4, "kl": [0.5, 1.5]})
reporter.close()
"""


def test_trackio_holds_what_was_reported(tmp_path: Path) -> None:
    environment = os.environ | {"TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", TRACKIO, str(tmp_path / "math-score-1")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    with sqlite3.connect(tmp_path / "trackio" / "scorebench.db") as database:
        rows = database.execute("select run_name, metrics from metrics order by id").fetchall()
    assert [name for name, _ in rows] == ["math-score-1"] * 2
    numbers = [json.loads(metrics) for _, metrics in rows]
    assert numbers[1] == {"stage1/step": 2, "stage1/reward": 0.5, "stage1/kl_t1": 0.5, "stage1/kl_t2": 1.5}


class Failing:
    """A tracker that breaks down at its second row."""

    def __init__(self, folder: Path) -> None:
        self.rows = 0

    def log(self, stage: str, step: int, numbers: Mapping[str, float]) -> None:
        self.rows += 1
        if self.rows == 2:
            raise ConnectionError("the server is away")

    def close(self) -> None:
        raise AssertionError("it is gone")


def test_a_tracker_that_fails_is_dropped_aloud_and_the_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(reporters.TRACKERS, "tensorboard", Failing)
    reporter = Reporter(["tensorboard"], tmp_path)
    plain, seen = context(tmp_path / "plain"), watched(tmp_path / "seen", report=reporter)
    score.train(plain, short(CONFIG, 2))
    score.train(seen, short(CONFIG, 2))
    reporter.close()
    said = capsys.readouterr().err
    assert said.count("--report-to tensorboard failed (ConnectionError: the server is away)") == 1
    assert_same_weights(plain.policy, seen.policy)


def test_a_tracker_that_is_not_there_is_said_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporters, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'scorebench\[wandb\]'"):
        Reporter(["wandb"], tmp_path)


def test_the_flag_takes_several_and_refuses_what_it_does_not_know() -> None:
    flags = {"method": "score", "task": "math", "report_to": "tensorboard, trackio"}
    assert settings_from(flags, None).report_to == ["tensorboard", "trackio"]
    with pytest.raises(UserError, match="report-to"):
        settings_from({**flags, "report_to": "paper"}, None)


def test_the_numbers_of_a_row_have_names_by_turn() -> None:
    row = {"loss": 1, "clipped": True, "kl": [0.5, 2], "note": "text", "nested": {"a": 1}}
    assert flat(row) == {"loss": 1.0, "clipped": 1.0, "kl_t1": 0.5, "kl_t2": 2.0}
