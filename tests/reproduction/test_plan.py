"""A plan's trainings and runs are carried out once, and its page says what they gave and what repeats each row."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from scorebench.api.errors import UserError
from scorebench.cli.main import app
from scorebench.evaluation.settings import read_yaml
from scorebench.reproduction.plan_file import read_plan, run_jobs, training_jobs
from tests import tiny

ROOT = Path(__file__).parents[2]

PLAN = """
title: A tiny model
about: Its weights are random.
flags: {model: ./model, engine: hf, max_tokens: 4, batch_size: 8}
sections:
  - title: Without training
    about: Methods that only ask.
    runs:
      - {method: [base, self-refine], task: arithmetic, task_args: {difficulty: 1}, limit: 3}
  - title: Trained
    trainings:
      - {config: warm-up.yaml, out: checkpoints/warm-up}
    runs:
      - {config: score.yaml}
      - {config: score.yaml, method: base}
    below: It learns nothing.
"""
TRAINED = "task: arithmetic\ntask_args: {difficulty: 1}\nengine: hf\nmax_tokens: 4\nlimit: 2\n"
WARM_UP = f"method: sft\nmodel: ./model\n{TRAINED}set: [epochs=none, steps=1, batch=2, max_tokens=128]\n"
SCORE = f"""method: [base, score]
model: ./checkpoints/warm-up
{TRAINED}set: [lora.rank=2, problems=2, samples=2, max_tokens=4, stage1.steps=2, stage2.steps=1]
"""


def lay_out(folder: Path) -> None:
    made = tiny.model()
    made.config.max_position_embeddings = 4096
    made.save_pretrained(folder / "model")
    tiny.tokenizer().save_pretrained(folder / "model")
    for name, text in (("plan", PLAN), ("warm-up", WARM_UP), ("score", SCORE)):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def carry_out(*more: str) -> int | None:
    """Its exit status, where it is not 0."""
    return app(["reproduce", "--plan", "plan.yaml", "--to", "page", "--jobs", "1", *more], standalone_mode=False)


def test_a_plan_is_carried_out_once_and_its_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    assert not carry_out()
    logs = sorted(tmp_path.glob("results/**/*.jsonl"))
    written = [log.stat().st_mtime_ns for log in logs]
    page = (tmp_path / "page" / "README.md").read_text(encoding="utf-8")
    carry_out()
    assert [log.stat().st_mtime_ns for log in sorted(tmp_path.glob("results/**/*.jsonl"))] == written
    assert (tmp_path / "page" / "README.md").read_text(encoding="utf-8") == page

    assert page.startswith("# A tiny model, as measured\n\nIts weights are random.\n")
    assert "    scorebench reproduce --plan plan.yaml\n" in page
    assert "    scorebench train --config warm-up.yaml --out checkpoints/warm-up\n" in page
    assert re.search(r"\| checkpoints/warm-up \| 1 \| 2 \| 0 \| [\d.]+ \|", page)
    assert re.search(r"- machine: .+ cores", page)
    assert "played in float32" in page
    assert "Missing" not in page
    assert "It learns nothing." in page
    rows = re.findall(r"^\| (\S+) on arithmetic \| (\d) \| [\d.]+ \| (\d*) \|.*\| `(.*)` \|$", page, re.MULTILINE)
    assert [row[:3] for row in rows] == [
        ("base", "3", ""),
        ("self-refine", "3", ""),
        ("base", "2", ""),
        ("score", "2", "3"),
    ]
    assert rows[1][3] == (
        "scorebench run --method self-refine --task arithmetic --task-args difficulty=1 --model ./model --engine hf "
        "--limit 3 --max-tokens 4 --batch-size 8"
    )
    assert rows[3][3] == "scorebench run --config score.yaml"
    stages = re.findall(r"^\| score \| (stage\d) \| (first|last) (\d) of \d \|", page, re.MULTILINE)
    assert stages == [
        ("stage1", "first", "2"),
        ("stage1", "last", "2"),
        ("stage2", "first", "1"),
        ("stage2", "last", "1"),
    ]
    short = re.findall(r"^\| arithmetic \| (\S+) \| (\d) \| ([\d.]+ \([\d.]+, [\d.]+\)) \|", page, re.MULTILINE)
    tables = (tmp_path / "page" / "tables.md").read_text(encoding="utf-8")
    assert [row[:2] for row in short] == [("base", "3"), ("self-refine", "3"), ("base", "2"), ("score", "2")]
    assert all(accuracy in tables for _, _, accuracy in short)
    for link in re.findall(r"\]\(([^)]+)\)", page):
        assert (tmp_path / "page" / link).is_file(), link
    with (tmp_path / "page" / "leaderboard.csv").open(encoding="utf-8") as file:
        assert [row["method"] for row in csv.DictReader(file)].count("base") == 2


def test_greedy_first_attempts_that_differ_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One first attempt of the second run is made another; the same model asked the same of both."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    (tmp_path / "plan.yaml").write_text(PLAN[: PLAN.index("  - title: Trained")], encoding="utf-8")
    carry_out()
    page = tmp_path / "page" / "README.md"
    assert "Greedy first attempts" not in page.read_text(encoding="utf-8")
    (episodes,) = tmp_path.glob("results/runs/*self-refine*/episodes.jsonl")
    rows = [json.loads(line) for line in episodes.read_text(encoding="utf-8").splitlines()]
    rows[0]["transcript"][rows[0]["attempts"][0]["message"]]["content"] += "!"
    episodes.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    carry_out()
    assert "another run that asked the same: self-refine on arithmetic 2 of 3 (base)." in page.read_text(
        encoding="utf-8"
    )


def test_what_fails_is_missing_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that fails: its section's runs are not begun, and the others are done."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    (tmp_path / "warm-up.yaml").write_text(WARM_UP.replace("max_tokens=128", "max_tokens=2"), encoding="utf-8")
    assert carry_out("--limit", "1") == 1
    page = (tmp_path / "page" / "README.md").read_text(encoding="utf-8")
    assert "to its end: sft on arithmetic, seed 0, warm-up; and all runs" in page
    assert "| self-refine on arithmetic | 1 |" in page
    assert "scorebench reproduce --plan plan.yaml --limit 1\n" in page


def test_rows_of_a_folder_are_for_runs_without_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    plan = read_plan(Path("plan.yaml"))
    (tmp_path / "checkpoints" / "warm-up").mkdir(parents=True)
    found = [run_jobs(plan, section, Path("out"), Path("rows"), None) for section in plan.sections]
    assert [[str(job.settings.data) for job, _ in jobs] for jobs in found] == [["rows"] * 2, ["None"] * 2]
    (warm_up,) = training_jobs(plan.sections[1], Path("out"))
    words = ["train", "--config", "warm-up.yaml", "--results", "out", "--out", "checkpoints/warm-up"]
    assert warm_up.command[3:] == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\nsections: []\n", "sections"),
        ("title: x\nsections: [{title: y, runs: [{method: base}], more: 1}]\n", "more"),
        ("- a\n", "holds no names and values"),
    ],
)
def test_a_file_that_is_no_plan_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "plan.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_plan(tmp_path / "plan.yaml")


def test_a_plan_leaves_no_room_for_flags_of_the_embedded_world() -> None:
    with pytest.raises(UserError, match="--plan says what is run"):
        app(["reproduce", "--plan", "plan.yaml", "--tune"], standalone_mode=False)


@pytest.mark.parametrize("path", sorted(ROOT.glob("results/*/plan.yaml")), ids=lambda path: path.parent.name)
def test_the_plans_here_begin_from_what_they_train(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a recipe names another recipe's checkpoint as its model."""
    monkeypatch.chdir(ROOT)
    plan = read_plan(path)
    made = [str(warm_up.out) for section in plan.sections for warm_up in section.trainings]
    for section in plan.sections:
        recipes = [warm_up.config for warm_up in section.trainings]
        recipes += [Path(run["config"]) for run in section.runs if "config" in run]
        for recipe in recipes:
            model = str(read_yaml(recipe)["model"]).removeprefix("./")
            assert model in made or model.endswith(".gguf"), recipe
