"""What regrading keeps: verdicts that cannot be found again, rows of other problems, runs that somebody writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scorebench.api import registry
from scorebench.api.errors import UserError
from scorebench.api.protocols import Source, Split
from scorebench.api.types import Attempt, Episode, Problem, Reply, Verdict
from scorebench.evaluation.identity import problems_identity
from scorebench.evaluation.regrade import find_run, regrade
from scorebench.storage.runs import Run, open_run
from tests.toy import Toy


class Changed(Toy):
    """Toy with a grader that breaks down on replies that say "break"; it used to pass everything."""

    version = "2"

    def grade(self, problem: Problem, reply: str) -> Verdict:
        if reply == "break":
            raise RuntimeError("out of order")
        return super().grade(problem, reply)


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Changed:
    task = Changed()
    monkeypatch.setattr(registry, "find", lambda kind, name: task)
    return task


def run_of(out: Path, data: str, *replies: str, split: Split = "test") -> Run:
    problems = Toy().load(split, Source("embedded")).problems
    identity: dict[str, Any] = {
        "task": {"name": "toy", "version": "1"},
        "data": data,
        "split": split,
        "problems": problems_identity(Toy(), problems),
        "method": {"name": "base"},
        "model": {"name": "none"},
        "seed": 0,
    }
    run = open_run(out / "runs", identity)
    (run.folder / "run.yaml").write_text("method: [base]\ntask: [toy]\n")
    with run.writing() as rows:
        for problem, reply in zip(problems, replies, strict=False):
            attempt = Attempt(Reply(reply), Verdict("pass", rule="old"))
            rows.append(Episode(problem.id, 0, (attempt,), ({"role": "assistant", "content": reply},)), {})
    return run


def verdicts(run: Run) -> list[tuple[str, str]]:
    found = [episode.attempts[0].verdict for episode in run.rows().values()]
    return [(verdict.outcome, verdict.rule) for verdict in found]


def test_an_error_of_today_does_not_replace_a_verdict(tmp_path: Path, task: Changed) -> None:
    run = run_of(tmp_path, "embedded", "right", "\u00e9", "break")
    result = regrade(run)
    assert (result.attempts, len(result.changes), result.kept) == (3, 1, 1)
    assert verdicts(run) == [("pass", "first-character"), ("fail", "first-character"), ("pass", "old")]
    assert run.meta()["regraded"]["task_version"] == "2"
    assert run.meta()["task"]["version"] == "1", "what the run is has not changed"


def test_a_run_of_another_split_is_regraded_on_that_split(tmp_path: Path, task: Changed) -> None:
    run = run_of(tmp_path, "embedded", "\u00e9", split="validation")
    (change,) = regrade(run).changes
    assert change.problem == "validation/0"


def test_rows_on_other_data_are_left_alone(tmp_path: Path, task: Changed) -> None:
    run = run_of(tmp_path, "folder:12345678", "\u00e9")
    with pytest.raises(UserError, match="made on the data folder:12345678, and this is embedded"):
        regrade(run)
    assert verdicts(run) == [("pass", "old")]


def test_a_run_that_is_being_written_is_left_alone(tmp_path: Path, task: Changed) -> None:
    run = run_of(tmp_path, "embedded", "\u00e9")
    with run.writing(), pytest.raises(UserError, match="Another process"):
        regrade(run)
    assert verdicts(run) == [("pass", "old")]


def test_a_run_without_rows_is_an_error(tmp_path: Path, task: Changed) -> None:
    with pytest.raises(UserError, match="no episodes"):
        regrade(run_of(tmp_path, "embedded"))


def test_runs_are_found_by_folder_and_by_name(tmp_path: Path) -> None:
    run = run_of(tmp_path, "embedded")
    assert find_run(tmp_path, run.name).folder == run.folder
    assert find_run(tmp_path / "elsewhere", str(run.folder)).folder == run.folder
    with pytest.raises(UserError, match=f"did you mean {run.name}"):
        find_run(tmp_path, run.name[:-2])
