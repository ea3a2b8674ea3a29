"""Two processes under torchrun train what one does, with weights that are shared out for real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from scorebench.api.errors import UserError
from scorebench.evaluation.session import Session
from scorebench.evaluation.settings import Settings
from scorebench.methods.score import score
from tests.training import on_two
from tests.training.test_score import CONFIG

ROOT = Path(__file__).parents[2]


def torchrun(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the scenarios showed in one process, here, and in two."""
    made = tmp_path_factory.mktemp("processes")
    on_two.main(made, "make", "gradients", "trainings", "watching")
    for kind in on_two.CHECKPOINTS:
        (made / f"{kind}.pt").write_bytes((made / kind / "state.pt").read_bytes())
    run = torchrun("tests.training.on_two", made, "gradients", "trainings", "watching", "resave")
    assert run.returncode == 0, run.stderr
    return made


def shown(folder: Path, what: str) -> tuple[dict[str, Any], dict[str, Any]]:
    one, two = (torch.load(folder / f"{what}-{count}.pt", weights_only=True) for count in (1, 2))
    return one, two


@pytest.mark.parametrize("kind", on_two.MODELS)
def test_loss_gradient_and_statistics_are_those_of_one_process(folder: Path, kind: str) -> None:
    one, two = (of[kind] for of in shown(folder, "gradients"))
    tolerance = 3e-2 if "bfloat16" in kind else 1e-5  # the sums of two processes are rounded apart
    for name, value in one["stats"].items():
        assert two["stats"][name] == pytest.approx(value, abs=tolerance, rel=tolerance), name
    for here, there in zip(one["gradient"], two["gradient"], strict=True):
        torch.testing.assert_close(there, here, atol=tolerance, rtol=tolerance)
    assert max(gradient.abs().max() for gradient in one["gradient"]) > 1e-2


@pytest.mark.parametrize("kind", on_two.MODELS)
def test_every_weight_is_shared_out(folder: Path, kind: str) -> None:
    one, two = (of[kind] for of in shown(folder, "gradients"))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert len(two["parts"]) == len(one["parts"]) > 10
    for name, here, there in two["parts"]:
        assert (name, 2 * here) == ("DTensor", there)


@pytest.mark.parametrize("kind", on_two.TRAININGS)
def test_every_kind_of_training_comes_out_as_in_one_process(folder: Path, kind: str) -> None:
    one, two = (of[kind] for of in shown(folder, "trainings"))
    assert two["logs"] == one["logs"]
    for name, tensor in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], tensor, atol=2e-3, rtol=1e-3, msg=name)


def test_a_watched_training_says_and_keeps_the_same(folder: Path) -> None:
    one, two = shown(folder, "watching")
    assert [row["step"] for row in one["evaluations"]] == [0, 2, 4] * 2
    for here, there in zip(one["evaluations"], two["evaluations"], strict=True):
        assert here["replies"] == there["replies"] == 10
        for name in here:
            assert there[name] == pytest.approx(here[name], abs=1e-3, rel=1e-3), name
    for name, tensor in one["weights"].items():
        torch.testing.assert_close(two["weights"][name], tensor, atol=2e-3, rtol=1e-3, msg=name)


@pytest.mark.parametrize("kind", on_two.CHECKPOINTS)
def test_checkpoints_are_the_same_in_one_process_and_in_two(folder: Path, kind: str) -> None:
    """Saved by one, taken up and saved by two, taken up and saved by one: not a number changes."""
    before = torch.load(folder / f"{kind}.pt", weights_only=True)
    assert before["best"]
    assert_same(torch.load(folder / kind / "state.pt", weights_only=True), before)
    on_two.main(folder, "resave")
    assert_same(torch.load(folder / kind / "state.pt", weights_only=True), before)


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
        assert one.dtype == other.dtype
    else:
        assert one == other


def test_one_process_ends_what_two_began(tmp_path: Path) -> None:
    assert torchrun("tests.training.on_two", tmp_path / "cut", "dying").returncode != 0
    assert [len(log) for log in on_two.logs(tmp_path / "cut")] == [4, 2]
    again, whole = on_two.taught(tmp_path / "cut"), on_two.taught(tmp_path / "whole")
    score.train(again, on_two.short(CONFIG, 4))
    score.train(whole, on_two.short(CONFIG, 4))
    assert on_two.logs(tmp_path / "cut") == on_two.logs(tmp_path / "whole")
    for name, tensor in whole.policy.state_dict().items():
        torch.testing.assert_close(again.policy.state_dict()[name], tensor, atol=2e-3, rtol=1e-3, msg=name)


def test_what_a_user_types(tmp_path: Path) -> None:
    """Two trainings, the first process plays the runs, and everything is said and written once."""
    sets = ["lora.rank=2", "max_tokens=8"]
    words = ["scorebench", "run", "--method", "base,score", "--task", "math", "--limit", "4", "--out", str(tmp_path)]
    sets += ["problems=4", "samples=2", "stage1.steps=1", "stage2.steps=1"]
    run = torchrun(*words, *[word for one in sets for word in ("--set", one)])
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("embedded-math: self-correction") == 1
    assert run.stderr.count("Training score") == 1
    assert [len(path.read_text().splitlines()) for path in tmp_path.glob("runs/*/episodes.jsonl")] == [4, 4]
    (state,) = tmp_path.glob("checkpoints/*/stage2/steps.jsonl")
    assert json.loads(state.read_text())["step"] == 1
    assert len(list(tmp_path.glob("checkpoints/*/model/model.safetensors"))) == 1


def test_torchrun_is_refused_where_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="torchrun is for training"):
        Session(Settings(method=["base"], task=["math"], out=tmp_path)).run()
