"""`scorebench train` as a user types it: one training, whoever asks for it, and a checkpoint that opens as a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

STEPS = ("--set", "stage1.steps=1", "--set", "stage2.steps=1", "--set", "problems=2", "--set", "samples=2")
SCORE = ("--method", "score", "--task", "math", *STEPS)


def scorebench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "scorebench", *words)
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    done = scorebench("train", *SCORE, "--out", "checkpoints/score-math", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "The checkpoint: checkpoints/score-math"
    assert "--method base --task math --model checkpoints/score-math --data embedded" in done.stdout
    return folder


def texts(folder: Path, method: str) -> list[Any]:
    (run,) = folder.glob(f"results/runs/math-embedded-{method}-*")
    rows = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    return sorted((row["problem"], row["transcript"]) for row in rows)


def test_the_checkpoint_is_a_model_of_its_own_and_the_training_is_run_s(trained: Path) -> None:
    (kept,) = trained.glob("results/checkpoints/*")
    logs = {log: log.stat().st_mtime_ns for log in kept.glob("*/steps.jsonl")}
    assert len(logs) == 2
    weights = (trained / "checkpoints" / "score-math" / "model.safetensors").read_bytes()
    assert weights == (kept / "model" / "model.safetensors").read_bytes()

    assert scorebench("run", *SCORE, "--limit", "6", folder=trained).returncode == 0
    words = ("run", "--method", "base", "--task", "math", "--model", "checkpoints/score-math", "--data", "embedded")
    done = scorebench(*words, "--limit", "6", folder=trained)
    assert done.returncode == 0, done.stderr
    assert texts(trained, "base") == texts(trained, "score")
    assert {log: log.stat().st_mtime_ns for log in kept.glob("*/steps.jsonl")} == logs


def test_the_same_training_again_is_no_training(trained: Path) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in trained.glob("checkpoints/score-math/*"))
    done = scorebench("train", *SCORE, "--out", "checkpoints/score-math", folder=trained)
    assert done.returncode == 0, done.stderr
    assert "Training score" not in done.stderr
    assert sorted((path, path.stat().st_mtime_ns) for path in trained.glob("checkpoints/score-math/*")) == before
    done = scorebench("train", *SCORE, folder=trained)
    assert done.stdout.startswith("The checkpoint: results/checkpoints/math-embedded-score-")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["train", *SCORE, "--seed", "1", "--out", "checkpoints/score-math"], "holds another training (score on math"),
        (["train", *SCORE, "--out", "checkpoints"], "holds files that are no training's"),
        (["train", *SCORE, "--out", "checkpoints/score-math/config.json"], "is a file"),
        (["train", "--method", "base", "--task", "math", "--out", "new"], "base does not train"),
        (["train", "--method", "score,star", "--task", "math", "--out", "new"], "one of each"),
        (["train", "--method", "score", "--out", "new"], "--task is missing"),
        (["train", "--method", "score", "--task", "math", "--model", "openai:any"], "cannot train"),
    ],
)
def test_a_mistake_is_one_sentence_before_any_step(trained: Path, words: list[str], says: str) -> None:
    kept = sorted(trained.glob("results/checkpoints/*"))
    done = scorebench(*words, folder=trained)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len([line for line in done.stderr.splitlines() if line.startswith("scorebench: ")]) == 1
    assert sorted(trained.glob("results/checkpoints/*")) == kept
