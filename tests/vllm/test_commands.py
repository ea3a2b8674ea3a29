"""vLLM as it is typed: as an engine, in a training, and as a server behind the openai engine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.cli.test_run import command, rows
from tests.vllm.conftest import MATH

RUN = ("run", "--method", "base", "--task", "math", "--data", "embedded", "--limit", "50", "--max-tokens", "96")
SMALL = "kv_cache_memory_bytes=268435456,enforce_eager=true"


def scorebench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.run(command(*words), cwd=folder, capture_output=True, text=True, timeout=1200)


def replies(folder: Path) -> list[list[str]]:
    return [said(row) for row in rows(folder, "base")]


def said(row: Any) -> list[str]:
    return [row["transcript"][attempt["message"]]["content"] for attempt in row["attempts"]]


def accuracies(folder: Path) -> tuple[float, float]:
    passed = [[a["verdict"]["outcome"] == "pass" for a in row["attempts"]] for row in rows(folder, "base")]
    return tuple(sum(row[t] for row in passed) / len(passed) for t in (0, 1))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def by_hf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hf")
    done = scorebench(*RUN, "--model", MATH, "--engine", "hf", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_with_vllm(tmp_path: Path, by_hf: Path) -> None:
    done = scorebench(*RUN, "--model", MATH, "--engine", "vllm", "--model-args", SMALL, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert replies(tmp_path) == replies(by_hf)
    assert accuracies(tmp_path) == accuracies(by_hf)


def test_a_training_with_rollouts_by_vllm(tmp_path: Path) -> None:
    """One process: the training's vLLM is gone before that of the evaluation starts, and none is left."""
    short = ("stage1.steps=2", "stage2.steps=2", "problems=4", "samples=4")
    sets = [word for assignment in short for word in ("--set", assignment)]
    words = ("run", "--method", "score", "--task", "math", "--limit", "20", "--engine", "vllm", "--model-args", SMALL)
    done = scorebench(*words, *sets, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path, "score")) == 20
    (training,) = tmp_path.glob("results/checkpoints/*")
    assert json.loads((training / "training.json").read_text())["identity"]["rollouts"] == "vllm"
    logs = [json.loads(line) for log in training.glob("*/steps.jsonl") for line in log.read_text().splitlines()]
    assert len(logs) == 4
    assert max(row["worst_logprob_gap"] for row in logs) < 1e-4


def test_what_is_wrong_is_one_sentence(tmp_path: Path) -> None:
    wrong = scorebench(*RUN, "--model", MATH, "--engine", "vllm", "--model-args", "tensor=2", folder=tmp_path)
    named, *told = wrong.stderr.splitlines()
    assert named.startswith("The model: ")
    assert (wrong.returncode, len(told)) == (2, 1), told
    assert "tensor_parallel_size" in told[0]
    words = ("--model", MATH, "--engine", "vllm", "--model-args", f"{SMALL},max_model_len=99999")
    fails = scorebench(*RUN, *words, folder=tmp_path)
    assert fails.returncode == 2
    assert "scorebench: vLLM cannot start" in fails.stderr.splitlines()[-1]


@contextmanager
def serving(port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """vLLM's own server with the embedded model, once it answers."""
    words = (
        sys.executable,
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--model",
        MATH,
        "--served-model-name",
        "small",
    )
    more = ("--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager")
    own = ("--generation-config", "vllm", "--kv-cache-memory-bytes", str(1 << 28))
    with (
        log.open("ab") as out,
        subprocess.Popen([*words, *more, *own], stdout=out, stderr=out, process_group=0) as server,
    ):
        try:
            while server.poll() is None and not _answers(port):
                time.sleep(1)
            assert server.poll() is None, log.read_text()
            yield server
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5) as answer:
            return answer.status == 200
    except (URLError, OSError):
        return False


def test_a_real_server_that_dies_and_comes_back(
    tmp_path: Path, by_hf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    model = ("--model", "openai:small", "--model-args", f"base_url=http://127.0.0.1:{port}/v1,patience=3")
    with serving(port, tmp_path / "log") as server:
        done = scorebench(*RUN, *model, folder=whole)
        assert done.returncode == 0, done.stderr
        cut.mkdir()
        with subprocess.Popen(command(*RUN, *model, "--batch-size", "1"), cwd=cut, stderr=subprocess.PIPE) as run:
            while run.poll() is None and _written(cut) < 5:
                time.sleep(0.05)
            os.killpg(server.pid, signal.SIGKILL)
            told = run.communicate(timeout=300)[1].decode()
    outcomes = [{a["verdict"]["outcome"] for a in row["attempts"]} for row in rows(cut, "base")]
    owed = sum("error" in outcome for outcome in outcomes)
    assert run.returncode == 1
    assert 0 < owed < len(outcomes) == 50
    assert f"{owed} of 50 dialogues ended in an error" in told
    with serving(port, tmp_path / "log"):
        again = scorebench(*RUN, *model, "--batch-size", "1", folder=cut)
        assert again.returncode == 0, again.stderr
    finished = {row["problem"]: row for row in rows(cut, "base") if not _has_error(row)}
    assert len(finished) == 50
    same = sum(a == b for a, b in zip(replies(whole), replies(by_hf), strict=True))
    with capsys.disabled():
        print(
            f"\nopenai against vLLM's server: {same} of 50 dialogues as hf's, accuracies {accuracies(whole)} and "
            f"{accuracies(by_hf)}; killed with {50 - owed} rows written, the same command finished {owed}"
        )
    assert same >= 49
    assert [said(finished[problem]) for problem in sorted(finished)] == replies(whole)


def _has_error(row: dict[str, Any]) -> bool:
    return any(attempt["verdict"]["outcome"] == "error" for attempt in row["attempts"])


def _written(folder: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in folder.glob("results/runs/*/episodes.jsonl"))
