"""`scorebench scaling` as a user types it."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import real_data

TINY = ("--task", "math", "--limit", "8")


def scorebench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "scorebench", *words)
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)


def table(file: Path) -> list[dict[str, str]]:
    with file.open() as opened:
        return list(csv.DictReader(opened))


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two methods were scaled to 4 attempts a problem."""
    folder = tmp_path_factory.mktemp("scaled")
    words = ("scaling", "--method", "base,self-refine", *TINY, "--budgets", "4,2", "--plot", "new/curves.png")
    done = scorebench(*words, "--csv", "curves.csv", folder=folder)
    assert done.returncode == 0, done.stderr
    for word in ("parallel", "sequential", "difference", "embedded problems, not the benchmark", "self-refine"):
        assert word in done.stdout
    return folder


def pools(folder: Path, method: str = "base") -> list[Path]:
    return sorted((folder / "results" / "pools").glob(f"*-{method}-*"))


def test_curves_of_two_methods_as_table_csv_and_plot(scaled: Path) -> None:
    rows = table(scaled / "curves.csv")
    assert [(row["method"], row["way"], row["budget"]) for row in rows[:4]] == [
        ("base", "parallel", "2"),
        ("base", "sequential", "2"),
        ("base", "parallel", "4"),
        ("base", "sequential", "4"),
    ]
    assert len(rows) == 8
    assert {row["data"] for row in rows} == {"embedded"}
    assert (scaled / "new" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "embedded problems, not the benchmark" in (scaled / "new" / "curves.svg").read_text()
    (pool,) = pools(scaled)
    described = json.loads((pool / "run.json").read_text())["identity"]
    assert (described["samples"], described["sampling"]["temperature"]) == (4, 0.7)


def test_pools_are_no_results(scaled: Path) -> None:
    done = scorebench("compare", folder=scaled)
    assert done.returncode == 2
    assert "There are no runs" in done.stderr


def test_smaller_budgets_and_stored_runs_need_no_new_samples(scaled: Path) -> None:
    (pool,) = pools(scaled)
    before = (pool / "episodes.jsonl").read_bytes(), (pool / "run.yaml").read_bytes()
    words = ("scaling", "--method", "base", *TINY, "--budgets", "2")
    done = scorebench(*words, "--csv", "two.csv", folder=scaled)
    assert done.returncode == 0, done.stderr
    assert pools(scaled) == [pool]
    assert ((pool / "episodes.jsonl").read_bytes(), (pool / "run.yaml").read_bytes()) == before

    done = scorebench("scaling", "--run", pool.name, "--budgets", "2,4", "--csv", "stored.csv", folder=scaled)
    assert done.returncode == 0, done.stderr
    assert table(scaled / "stored.csv") == [row for row in table(scaled / "curves.csv") if row["method"] == "base"]

    done = scorebench("scaling", "--run", pool.name, "--budgets", "2,64", folder=scaled)
    assert done.returncode == 2
    assert "The budget 64 needs" in done.stderr
    assert f"{pool.name} has 4" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["scaling", "--method", "base", *TINY, "--budgets", "3"], "even budgets"),
        (["scaling", "--method", "base", *TINY, "--budgets", "two"], "'two' are not numbers"),
        (["scaling", "--method", "base", *TINY, "--budgets", ","], "at least one budget"),
        (["scaling", "--method", "base", *TINY, "--samples", "8"], "--samples is 8"),
        (["scaling", "--method", "base", *TINY, "--temperature", "0"], "are the same"),
        (["scaling", "--method", "base"], "--task is missing"),
        (["scaling", "--run", "nothing"], "no run 'nothing'"),
        (["scaling", "--run", ","], "names no run"),
        (["scaling", "--run", "nothing", "--seed", "1"], "leave --seed out"),
        (["scaling", "--method", "base", *TINY, "--plot", "."], "is a folder"),
        (["scaling", "--method", "base", *TINY, "--csv", "file/curves.csv"], "Cannot write file/curves.csv"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(tmp_path: Path, words: list[str], says: str) -> None:
    (tmp_path / "file").touch()
    done = scorebench(*words, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len([line for line in done.stderr.splitlines() if line.startswith("scorebench: ")]) == 1
    assert not list(tmp_path.glob("results/**/episodes.jsonl"))


def test_recorded_programs_vote_by_what_they_answer(tmp_path: Path) -> None:
    """Two right programs in other words outvote one wrong one, with the docstring's example; alone they would tie."""
    prompt = 'def double(x):\n    """Twice.\n\n    >>> double(2)\n    4\n    """\n'
    problem = {
        "task_id": "own/0",
        "prompt": prompt,
        "entry_point": "double",
        "canonical_solution": "    return 2 * x\n",
    }
    problem["test"] = "def check(candidate):\n    assert candidate(3) == 6\n"
    (tmp_path / "own.jsonl").write_text(json.dumps(problem) + "\n")
    first = ["    return x + x\n", "    return 2 * x\n", "    return x\n", "    return 1 / 0\n"]
    replies = [{"id": "own/0", "attempts": [program, "    return x\n"]} for program in first]
    (tmp_path / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in replies))
    words = ("scaling", "--method", "base", "--task", "humaneval", "--model", "replay:replies.jsonl")
    done = scorebench(*words, "--data", "own.jsonl", "--budgets", "4", "--csv", "votes.csv", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [(row["way"], row["acc"]) for row in table(tmp_path / "votes.csv")] == [
        ("parallel", "1.0"),
        ("sequential", "0.0"),
    ]


def test_a_task_that_gives_the_first_attempts_has_nothing_to_sample(tmp_path: Path) -> None:
    words = ("scaling", "--method", "base", "--task", "mbpp-r", "--model", "replay:none.jsonl")
    done = scorebench(*words, "--data", str(real_data()), folder=tmp_path)
    assert done.returncode == 2
    assert "The first attempts of mbpp-r are given" in done.stderr


OLD = Path(__file__).parents[1] / "report" / "old_results"
OLD_RUN = "math-embedded-base-embedded-math-s0-30af6ec1"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stored run, one whose run.json is damaged, one that is unfinished, and one on validation."""
    folder = tmp_path_factory.mktemp("compared")
    runs = folder / "results" / "runs"
    for name in (OLD_RUN, "damaged", "unfinished", "validation"):
        shutil.copytree(OLD / "runs" / OLD_RUN, runs / name)
    (runs / "damaged" / "run.json").write_text("{")
    for name, old, new in (("unfinished", '"count": 40', '"count": 50'), ("validation", '"test"', '"validation"')):
        text = (runs / name / "run.json").read_text()
        assert old in text
        (runs / name / "run.json").write_text(text.replace(old, new))
    return folder


def test_compare_names_what_it_leaves_out_and_shows_the_rest(compared: Path) -> None:
    done = scorebench("compare", "--run", OLD_RUN, folder=compared)
    assert done.returncode == 0, done.stderr
    assert "67.5" in done.stdout
    assert "damaged" in done.stderr
    assert "validation is left out: it is on the validation problems" in done.stderr
    assert "first 40" in done.stdout


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("leaderboard", "--csv", "/proc/board.csv"), "--csv"),
        (("scaling", "--method", "base", *TINY, "--csv", "/proc/new/curves.csv"), "--csv"),
        (("scaling", "--method", "base", *TINY, "--plot", "/proc/new/curves.png"), "--plot"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_with_the_flag_that_named_it(
    compared: Path, words: tuple[str, ...], flag: str
) -> None:
    done = scorebench(*words, folder=compared)
    assert done.returncode == 2
    (complaint,) = (line for line in done.stderr.splitlines() if line.startswith("scorebench: Cannot write /proc"))
    assert f"name another place with {flag}, then" in complaint


def test_leaderboard_says_which_runs_it_leaves_out_and_why(compared: Path) -> None:
    done = scorebench("leaderboard", "--csv", "new/board.csv", folder=compared)
    assert done.returncode == 0, done.stderr
    assert "unfinished is left out: 10 of its episodes are missing" in done.stderr
    assert "validation is left out" in done.stderr
    assert done.stdout == "1 of 3 runs in new/board.csv\n"
    (row,) = table(compared / "new" / "board.csv")
    assert (row["run"], row["acc_t1"], row["rank"]) == (OLD_RUN, "0.675", "1")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compare", "--method", "star"], "No run has the method star; there are base"),
        (["compare", "--task", "math", "--model", "gpt"], "No run has the model gpt"),
        (["compare", "--format", "html"], "There is no --format 'html'"),
        (["compare", "--baseline", "star"], "No run of the baseline 'star'"),
        (["power", "--problems", "500", "--delta", "0"], "--delta 0 is no difference"),
        (["power", "--problems", "500", "--delta", "30"], "--differing 20 does not go with --delta 30"),
    ],
)
def test_a_mistaken_comparison_is_one_sentence(compared: Path, words: list[str], says: str) -> None:
    done = scorebench(*words, folder=compared)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_power_says_what_a_difference_needs(tmp_path: Path) -> None:
    done = scorebench("power", "--problems", "500", "--delta", "4.4", "--samples", "4", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "500 problems x 4 samples: the difference is found (p < 0.05) in 79.4 %" in done.stdout
    assert "809 problems x 1 sample" in done.stdout
    assert "with 500 problems: 5 samples of each" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
