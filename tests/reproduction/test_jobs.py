"""`scorebench reproduce`: what it runs, that it goes on after kill -9, and that a failure stops nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.errors import UserError
from scorebench.evaluation.settings import Settings
from scorebench.reproduction import ABLATIONS, METHODS, VARIANTS, VARIED_ON
from scorebench.reproduction.jobs import Job, carry_out, lanes, seconds_left
from scorebench.reproduction.plan import pool_jobs, table_jobs
from scorebench.storage.files import alone
from scorebench.storage.runs import Run
from tests.cli.test_run import SHORT, command, rows_done, scorebench

TRY = ("reproduce", "--tasks", "math", "--methods", "base,self-refine", "--seeds", "1", "--limit", "6")


def job(method: str = "base", task: str = "math", seed: int = 0, **more: Any) -> Job:
    return Job(Settings(method=[method], task=[task], seed=seed, **more))


def test_all_of_the_papers_rows_are_run_over_five_and_three_seeds() -> None:
    jobs = table_jobs(["math", "mbpp", "humaneval"], [*METHODS, *ABLATIONS], None, Path("results"), None)
    seeds: dict[tuple[str, str], list[int]] = {}
    for one in jobs:
        if not one.settings.set:
            seeds.setdefault((one.task, one.method), []).append(one.settings.seed)
    assert len(seeds) == 3 * 13
    for (task, method), own in seeds.items():
        trained = method not in ("base", "self-refine")
        assert own == list(range({"math": 5, "mbpp": 3, "humaneval": 3}[task] if trained else 1))
    changed = {(one.task, one.method, *one.settings.set) for one in jobs if one.settings.set}
    assert changed == {(task, *variant) for task in VARIED_ON for variant in VARIANTS}
    plain = Job(Settings(method=["score"], task=["math"], seed=3))
    assert plain in jobs, "what the page shows is what the command without flags gives"


def test_a_lane_holds_all_jobs_that_train_the_same() -> None:
    tasks = ["math", "mbpp", "humaneval"]
    jobs = table_jobs(tasks, ["base", "score"], 2, Path("results"), None)
    jobs += pool_jobs(tasks, ["base", "score"], Path("results"), None)
    found = lanes(jobs)
    assert sorted(map(id, jobs)) == sorted(id(one) for lane in found for one in lane)
    number = {
        (one.method, *one.settings.set, one.settings.seed, one.task): place
        for place, lane in enumerate(found)
        for one in lane
    }
    assert number["score", 1, "mbpp"] == number["score", 1, "humaneval"]
    assert number["score", "max_grad_norm=none", 1, "math"] != number["score", 1, "math"]
    assert len(set(number.values())) == len(found) == (1 + 2) * 2 + 2  # base and score on both schools; a variant
    assert len([one for lane in found for one in lane if one.pool]) == 6


@pytest.mark.parametrize("pool", [False, True])
def test_a_command_repeats_its_settings(pool: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words are parsed as the command line parses them."""
    from typer.testing import CliRunner

    from scorebench.cli import main

    more = {"split": "validation", "limit": 9, "temperature": 0.5, "set": ["samples=4", "problems=2"]}
    settings = Settings(method=["score"], task=["math"], seed=100, samples=64, **more)
    seen: list[Settings] = []

    class Recorded:
        owed = 0

        def __init__(self, given: Settings, **more: Any) -> None:
            seen.append(given)
            raise UserError("seen")

    monkeypatch.setattr("scorebench.evaluation.session.Session", Recorded)
    monkeypatch.setattr("scorebench.evaluation.sample_pools.Session", Recorded)
    CliRunner().invoke(main.app, Job(settings, pool).command[3:])
    assert seen == [settings]


def test_a_job_that_fails_is_reported_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fake(self: Job) -> list[str]:
        code = {1: "import sys; sys.exit('no such luck')", 2: "import os; os.kill(os.getpid(), 9)"}
        seed = self.settings.seed
        return [sys.executable, "-c", code.get(seed, f"open({str(tmp_path / str(seed))!r}, 'w')")]

    monkeypatch.setattr(Job, "command", property(fake))
    failures = carry_out([job(seed=seed, out=tmp_path) for seed in range(6)], 2, tmp_path / "logs")
    told = {failure.job.settings.seed: failure.said for failure in failures}
    assert told == {1: "no such luck", 2: "ended with status -9"}
    assert any("base on math, seed 1" in str(failure) for failure in failures)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"0", "3", "4", "5"}


# A process that holds its lane's lock and one of the slots, and fails where another one holds them all.
HOLD = """
import fcntl, sys, time
def held(name):
    file = open(name, "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    return file
lane, *slots = sys.argv[1:]
kept = [held(lane), next(filter(None, map(held, slots)), None)]
time.sleep(0.2)
sys.exit(None in kept)
"""


def test_no_more_processes_than_asked_for_and_never_two_of_a_lane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = [str(tmp_path / f"slot{number}") for number in range(2)]

    def fake(self: Job) -> list[str]:
        school = {"humaneval": "mbpp"}.get(self.task, self.task)
        return [sys.executable, "-c", HOLD, str(tmp_path / f"{school}-{self.settings.seed}"), *slots]

    monkeypatch.setattr(Job, "command", property(fake))
    monkeypatch.setattr(Job, "finished", lambda self: None)
    jobs = [job(task=task, seed=seed) for task in ("math", "mbpp", "humaneval") for seed in range(2)]
    assert carry_out(jobs, 2, tmp_path / "logs") == []


def test_the_time_left_is_that_of_the_jobs_most_alike() -> None:
    took = [(job("base"), 2.0), (job("base", seed=1), 4.0), (job("score"), 100.0)]
    left = [job("base", seed=2), job("star"), job("self-refine")]
    assert seconds_left(took, left, 1) == pytest.approx(3 + 100 + 3)
    assert seconds_left(took, left, 2) == pytest.approx(53)
    assert seconds_left(took, [], 2) == 0


def plain_rows(folder: Path) -> dict[str, list[Any]]:
    """Every run's rows by its folder's name, without their times and what was in a cache."""
    runs = [Run(path.parent, {}) for path in folder.glob("results/*/*/run.json")]
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
    while not all(is_free(path.parent) for path in cut.glob("results/*/*/.lock")):
        time.sleep(0.02)
    before = {path: path.read_bytes() for path in cut.glob("results/*/*/episodes.jsonl")}
    done = scorebench(*TRY, "--jobs", "2", folder=cut)
    assert done.returncode == 0, done.stderr
    for path, had in before.items():
        assert path.read_bytes().startswith(had[: had.rfind(b"\n") + 1]), "a row was played again"
    rows = plain_rows(cut)
    assert rows == plain_rows(whole)
    assert sorted(map(len, rows.values())) == [6, 6, 6 * 32]
    made = [folder / "results" / "embedded" for folder in (cut, whole)]
    assert (made[0] / "claims.csv").read_text() == (made[1] / "claims.csv").read_text()
    assert "only the first 6 problems" in (made[0] / "math.md").read_text()
    assert "math: 1. The base model does not gain" in done.stdout


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
