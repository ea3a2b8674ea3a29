"""Models by their name on the hub, at a revision, and with code of their own. The tests write the hub's cache."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.cli.test_run import command

COMMITS = {"main": "a" * 40, "old": "b" * 40}
CODE = """
from transformers import LlamaConfig, LlamaForCausalLM


class OwnConfig(LlamaConfig):
    model_type = "own"


class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


def saved(folder: Path, seed: int) -> Path:
    tiny.model(seed=seed).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def played(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`scorebench run` on two problems, with the hub's cache of `folder` and no network."""
    short = ("--method", "base", "--task", "math", "--data", "embedded", "--limit", "2", "--max-tokens", "8")
    return subprocess.run(
        command("run", *short, *words),
        cwd=folder,
        env={**os.environ, "HF_HOME": str(folder / "hub-home"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def runs(folder: Path) -> list[tuple[dict[str, Any], str]]:
    """The model in the identity of each run, and its replies."""
    found = []
    for file in sorted(folder.glob("results/runs/*/run.json")):
        rows = map(json.loads, (file.parent / "episodes.jsonl").read_text().splitlines())
        replies = sorted((row["problem"], row["transcript"]) for row in rows)
        found.append((json.loads(file.read_text())["identity"]["model"], json.dumps(replies)))
    return found


def test_a_revision_is_another_model(tmp_path: Path) -> None:
    place = tmp_path / "hub-home" / "hub" / "models--me--tiny"
    for seed, (name, commit) in enumerate(COMMITS.items()):
        saved(place / "snapshots" / commit, seed)
        (place / "refs").mkdir(exist_ok=True)
        (place / "refs" / name).write_text(commit)
    for words in ((), ("--model-args", "revision=old"), ("--model-args", f"revision={COMMITS['old']}")):
        done = played(tmp_path, "--model", "me/tiny", *words)
        assert done.returncode == 0, done.stderr
    (first, second, third) = sorted(runs(tmp_path), key=lambda run: run[0].get("revision", ""))
    assert [run[0].get("revision") for run in (first, second, third)] == [None, COMMITS["old"], "old"]
    assert second[0]["digest"] == third[0]["digest"] != first[0]["digest"]
    assert second[1] == third[1] != first[1]


def test_a_revision_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    place = saved(tmp_path / "hub-home" / "hub" / "models--me--tiny" / "snapshots" / COMMITS["main"], 0).parents[1]
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMITS["main"])
    done = played(tmp_path, "--model", "me/tiny", "--model-args", "revision=never")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Cannot open the model 'me/tiny' at revision 'never'" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("trusted", [True, False])
def test_code_that_comes_with_a_model_runs_only_when_it_is_trusted(tmp_path: Path, trusted: bool) -> None:
    folder = saved(tmp_path / "own", 0)
    (folder / "own.py").write_text(CODE)
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"}
    config |= {"model_type": "own", "architectures": ["OwnForCausalLM"], "auto_map": own}
    (folder / "config.json").write_text(json.dumps(config))
    done = played(tmp_path, "--model", "./own", *(("--model-args", "trust_remote_code=true") if trusted else ()))
    assert "Traceback" not in done.stderr
    if trusted:
        assert done.returncode == 0, done.stderr
        ((model, _),) = runs(tmp_path)
        assert model["trust_remote_code"] is True
    else:
        assert done.returncode == 2
        assert "trust_remote_code=true" in done.stderr.splitlines()[-1]
