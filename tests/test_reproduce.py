"""`scorebench reproduce`: what it runs, that it goes on after kill -9, and that a failure stops nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scorebench import crew
from scorebench.crew import carry_out, lanes, seconds_left
from scorebench.errors import UserError
from scorebench.files import alone
from scorebench.reproduce import ABLATIONS, METHODS, scaling_runs, table_runs
from scorebench.settings import Settings
from scorebench.store import Run
from tests.test_cli import SHORT, command, rows_done, scorebench

TRY = ("reproduce", "--tasks", "math", "--methods", "base,self-refine", "--seeds", "1", "--limit", "6")


def settings(method: str = "base", task: str = "math", seed: int = 0, **more: Any) -> Settings:
    return Settings(method=[method], task=[task], seed=seed, **more)


def test_all_of_the_papers_rows_are_run_over_five_and_three_seeds() -> None:
    runs = table_runs(["math", "mbpp", "humaneval"], [*METHODS, *ABLATIONS], None, Path("results"), None)
    seeds = {(run.method[0], run.task[0]): 0 for run in runs}
    for run in runs:
        seeds[run.method[0], run.task[0]] += 1
    assert len(seeds) == 13 * 3
    assert {task: count for (_, task), count in seeds.items()} == {"math": 5, "mbpp": 3, "humaneval": 3}
    assert len(set(seeds.values())) == 2
    plain = Settings(method=["score"], task=["math"], seed=3)
    assert plain in runs, "what the page shows is what the command without flags gives"
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)


def test_a_lane_holds_all_runs_that_train_the_same() -> None:
    runs = table_runs(["math", "mbpp", "humaneval"], ["base", "score"], 2, Path("results"), None)
    runs += scaling_runs(["math", "mbpp", "humaneval"], ["base", "score"], Path("results"), None)
    found = lanes(runs)
    assert sorted(map(id, runs)) == sorted(id(run) for lane in found for run in lane)
    tasks = {(run.method[0], run.seed, run.task[0]): number for number, lane in enumerate(found) for run in lane}
    assert tasks["score", 1, "mbpp"] == tasks["score", 1, "humaneval"]
    assert len(set(tasks.values())) == len(found) == 2 * 2 * 2  # method, seed, and math or mbpp
    assert len([run for lane in found for run in lane if run.samples > 1]) == 6


def test_a_command_repeats_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words are parsed as the command line parses them."""
    from typer.testing import CliRunner

    from scorebench import cli

    run = settings("score", seed=100, split="validation", limit=9, temperature=0.7, set=["samples=4", "problems=2"])
    seen: list[Settings] = []

    class Recorded:
        owed = 0

        def __init__(self, given: Settings) -> None:
            seen.append(given)

        def run(self) -> list[Any]:
            return []

    monkeypatch.setattr("scorebench.session.Session", Recorded)
    CliRunner().invoke(cli.app, crew.command(run)[3:])
    assert seen == [run]


def test_a_run_that_fails_is_reported_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(run: Settings) -> list[str]:
        code = {1: "import sys; sys.exit('no such luck')", 2: "import os; os.kill(os.getpid(), 9)"}
        touch = f"open({str(tmp_path / str(run.seed))!r}, 'w')"
        return [sys.executable, "-c", code.get(run.seed, touch)]

    monkeypatch.setattr(crew, "command", fake)
    runs = [settings(seed=seed, out=tmp_path) for seed in range(6)]
    failures = carry_out(runs, jobs=2, logs=tmp_path / "logs")
    assert {failure.run.seed: failure.said for failure in failures} == {1: "no such luck", 2: "ended with status -9"}
    assert "base on math, seed 1" in str(next(failure for failure in failures if failure.run.seed == 1))
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"0", "3", "4", "5"}


def test_no_more_than_jobs_processes_and_never_two_of_a_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process holds its lane's lock and one of `jobs` slots, and fails where there is none."""
    code = (
        "import fcntl, sys, time\n"
        "def held(name):\n"
        "    file = open(name, 'w')\n"
        "    try:\n        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "    except BlockingIOError:\n        return None\n"
        "    return file\n"
        "lane, *slots = sys.argv[1:]\n"
        "kept = [held(lane), next(filter(None, map(held, slots)), None)]\n"
        "time.sleep(0.2)\n"
        "sys.exit(None in kept)\n"
    )
    slots = [str(tmp_path / f"slot{number}") for number in range(2)]

    def fake(run: Settings) -> list[str]:
        school = {"humaneval": "mbpp"}.get(run.task[0], run.task[0])
        return [sys.executable, "-c", code, str(tmp_path / f"{run.method[0]}-{school}-{run.seed}"), *slots]

    monkeypatch.setattr(crew, "command", fake)
    monkeypatch.setattr(crew, "finished", lambda run: None)
    runs = [settings("base", task, seed) for task in ("math", "mbpp", "humaneval") for seed in range(2)]
    assert carry_out(runs, jobs=2, logs=tmp_path / "logs") == []


def test_the_time_left_is_that_of_the_runs_most_alike() -> None:
    took = [(settings("base"), 2.0), (settings("base", seed=1), 4.0), (settings("score"), 100.0)]
    left = [settings("base", seed=2), settings("star"), settings("self-refine")]
    assert seconds_left(took, left, jobs=1) == pytest.approx(3 + 100 + 3)
    assert seconds_left(took, left, jobs=2) == pytest.approx(53)
    assert seconds_left(took, [], jobs=2) == 0


def plain_rows(folder: Path) -> dict[str, list[Any]]:
    """Every run's rows by its folder's name, without their times and what was in a cache."""
    runs = [Run(path.parent, {}) for path in folder.glob("results/runs/*/run.json")]
    found = {run.name: list(run.lines()) for run in runs}
    for row in (row for read in found.values() for row in read):
        del row["seconds"], row["elapsed"]
        for attempt in row["attempts"]:
            del attempt["computed_tokens"]
    return {name: sorted(read, key=lambda row: (row["problem"], row["sample"])) for name, read in found.items()}


def is_free(folder: Path) -> bool:
    try:
        with alone(folder, "writing"):
            return True
    except UserError:
        return False


def test_kill_9_leaves_nobody_at_work_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """Only the parent is killed: what it started ends with it. One process or two give the same rows."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    done = scorebench(*TRY, "--jobs", "1", folder=whole)
    assert done.returncode == 0, done.stderr

    process = subprocess.Popen(command(*TRY, "--jobs", "2"), cwd=cut, stderr=subprocess.DEVNULL)
    while not rows_done(cut) and process.poll() is None:
        time.sleep(0.02)
    alive = process.poll() is None
    process.kill()
    process.wait()
    assert alive, "it had ended before it could be killed"
    while not all(is_free(path.parent) for path in cut.glob("results/runs/*/.lock")):
        time.sleep(0.02)
    before = {path: path.read_bytes() for path in cut.glob("results/runs/*/episodes.jsonl")}
    done = scorebench(*TRY, "--jobs", "2", folder=cut)
    assert done.returncode == 0, done.stderr
    for path, had in before.items():
        assert path.read_bytes().startswith(had[: had.rfind(b"\n") + 1]), "a row was played again"
    rows = plain_rows(cut)
    assert rows == plain_rows(whole)
    assert sorted(map(len, rows.values())) == [6, 6, 6 * 32]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--methods", "base,scre"), "did you mean score?"),
        (("--tasks", "maths"), "did you mean math?"),
        (("--tasks", ","), "--tasks names nothing"),
    ],
)
def test_a_mistake_is_one_sentence_before_anything_runs(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    done = scorebench("reproduce", *words, folder=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr.splitlines()[-1]
    assert not (tmp_path / "results" / "runs").exists()


def test_two_at_a_time_is_one_too_many(tmp_path: Path) -> None:
    with alone(tmp_path / "results", "reproducing in"):
        done = scorebench(*TRY, folder=tmp_path)
    assert done.returncode == 2
    assert "Another process is reproducing in results" in done.stderr


def test_a_training_is_never_done_twice_at_once(tmp_path: Path) -> None:
    words = ["run", "--method", "score", "--task", "math", *SHORT, "--limit", "2"]
    process = subprocess.Popen(command(*words), cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list(tmp_path.glob("results/checkpoints/*/training.json")) and process.poll() is None:
        time.sleep(0.02)
    (folder,) = (path.parent for path in tmp_path.glob("results/checkpoints/*/training.json"))
    with pytest.raises(UserError, match="Another process is training in"), alone(folder, "training in"):
        pass
    assert process.wait() == 0
