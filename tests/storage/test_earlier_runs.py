"""A run and a checkpoint that an earlier version wrote (tests/storage/earlier) are still read.

The run is a part: 6 of its 1,200 episodes. Its run.json has no reading, no method version, no problems.json.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scorebench.evaluation.tasks import task_in
from scorebench.storage.runs import all_runs, digest, open_run
from tests.cli.test_run import scorebench

EARLIER = Path(__file__).parent / "earlier"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EARLIER, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_its_rows_are_read_as_they_stand(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run,) = all_runs(folder / "results" / "runs")
    lines = [json.loads(line) for line in (run.folder / "episodes.jsonl").read_text().splitlines()]
    rows = run.rows()
    assert not caplog.messages
    assert [key[0] for key in rows] == [line["problem"] for line in lines]
    for line in lines:
        episode = rows[line["problem"], line["sample"]]
        told = [(a.verdict.outcome, a.verdict.answer, a.verdict.rule, a.tokens) for a in episode.attempts]
        stored = [(a["verdict"]["outcome"], a["verdict"]["answer"], a["verdict"]["rule"]) for a in line["attempts"]]
        assert told == [(*one, a["sampled"]) for one, a in zip(stored, line["attempts"], strict=True)]
    assert task_in(run.identity).name == "math"
    assert run.meta()["seconds"] == lines[-1]["elapsed"]


def test_its_rows_are_no_rows_of_today_s_runs(folder: Path) -> None:
    (old,) = all_runs(folder / "results" / "runs")
    new = open_run(folder / "results" / "runs", {**old.identity, "reading": "loose"})
    assert new.folder != old.folder
    assert digest(new.identity) != digest(old.identity)
    assert not new.rows()


def test_every_command_that_reads_runs_takes_it_or_says_why_not(folder: Path) -> None:
    (run,) = all_runs(folder / "results" / "runs")
    firsts, lasts = ([e.attempts[t].verdict.passed for e in run.rows().values()] for t in (0, 1))
    done = scorebench("compare", "--format", "json", folder=folder)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["method"], row["n"]) == ("score", 6)
    assert row["acc_t1"] == pytest.approx(sum(firsts) / 6, abs=1e-6)
    assert row["acc_t2"] == pytest.approx(sum(lasts) / 6, abs=1e-6)
    assert scorebench("view", folder=folder).returncode == 0
    done = scorebench("regrade", run.name, folder=folder)
    assert "Traceback" not in done.stderr
    if done.returncode:  # the embedded problems may have changed since
        assert done.returncode == 2
        assert "others today" in done.stderr.splitlines()[-1]


def test_its_checkpoint_is_no_checkpoint_of_today_s_trainings(folder: Path) -> None:
    """`train --out` on it is refused in one sentence, before any step, and changes nothing in it."""
    (old,) = (folder / "results" / "checkpoints").iterdir()
    before = {file: file.read_bytes() for file in old.rglob("*") if file.is_file()}
    done = scorebench("train", "--method", "score", "--task", "math", "--out", str(old), folder=folder)
    assert done.returncode == 2
    assert "holds another training (score on math, seed 0, or with other settings)" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert {file: file.read_bytes() for file in old.rglob("*") if file.is_file()} == before
    assert list((folder / "results" / "checkpoints").iterdir()) == [old]


def test_the_log_of_its_training_is_drawn(folder: Path) -> None:
    done = scorebench("plots", folder=folder)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "9b1e1e79" in line]
    assert list((folder / "results" / "plots").glob("training-*"))
