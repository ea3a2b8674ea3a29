"""`scorebench run` against an endpoint that fails, as it is typed: nothing is lost, and the same command goes on."""

from __future__ import annotations

import json
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_run import rows, scorebench
from tests.failing_endpoint import Action, Call, FailingEndpoint, answers, cuts, hangs, refuses, resets, sends

PROBLEMS = 500  # as many as the task demands of a folder
OPENAI = ("run", "--task", "math", "--data", "data", "--model", "openai:m", "--batch-size", "16")


@pytest.fixture(autouse=True)
def _problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems that all have the endpoint's answer; no key, no proxy."""
    (tmp_path / "data").mkdir()
    row = {"solution": "", "answer": "2", "subject": "Algebra", "level": 1}
    lines = [json.dumps(row | {"problem": f"{i}: 1+1?", "unique_id": f"p{i}"}) for i in range(PROBLEMS)]
    (tmp_path / "data" / "math500.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def lot(call: Call, of: int) -> int:
    """A number below `of` that a conversation draws, the same at every try."""
    return zlib.crc32(json.dumps(call.messages).encode()) % of


def base(folder: Path, endpoint: FailingEndpoint, *args: str) -> subprocess.CompletedProcess[str]:
    options = ",".join([f"base_url={endpoint.url}", *args])
    return scorebench(*OPENAI, "--method", "base", "--model-args", options, folder=folder)


def said(folder: Path) -> list[Any]:
    """The rows of the run; of one that was played again, the last."""
    return list({row["problem"]: row for row in rows(folder, "base")}.values())


def whole(folder: Path) -> bool:
    return all(a["verdict"]["outcome"] == "pass" for row in said(folder) for a in row["attempts"])


def test_failures_that_pass_leave_no_trace_but_in_the_account(tmp_path: Path) -> None:
    failures: list[Action] = [
        refuses(429, headers={"Retry-After": "0.2"}),
        refuses(500),
        refuses(503, headers={"Retry-After": "0"}),
        cuts,
        resets,
        hangs,
        sends(b'{"choices": ['),
        sends(b"<html>busy</html>", "text/html"),
    ]

    def plan(call: Call) -> Action:
        drawn = lot(call, 40)
        return failures[drawn] if drawn < len(failures) and not call.tries else answers

    with FailingEndpoint(plan).serving() as endpoint:
        done = base(tmp_path, endpoint, "timeout=2", "patience=60", "price_in=1", "price_out=10")
    assert done.returncode == 0, done.stderr
    assert len(said(tmp_path)) == PROBLEMS
    assert whole(tmp_path)
    failed = len(endpoint.calls) - 2 * PROBLEMS
    assert failed > 100
    table = json.loads(scorebench("compare", "--format", "json", folder=tmp_path).stdout)
    assert (table[0]["n"], table[0]["errors"], table[0]["acc_t2"]) == (PROBLEMS, 0, 1.0)
    account = max((row["account"] for row in rows(tmp_path, "base")), key=lambda a: a["requests"])
    assert account["prompt_tokens"] == 20 * PROBLEMS
    assert account["dollars"] == pytest.approx((20 * 1 + 14 * 10) * PROBLEMS / 1e6)
    assert f"{2 * PROBLEMS + failed:,} requests" in done.stderr


def test_failures_that_stay_are_counted_and_the_same_command_finishes(tmp_path: Path) -> None:
    failures: list[Action] = [refuses(500), refuses(429), cuts, hangs, sends(b"{")]
    broken = True

    def plan(call: Call) -> Action:
        drawn = lot(call, 100)
        return failures[drawn] if broken and drawn < len(failures) else answers

    with FailingEndpoint(plan).serving() as endpoint:
        done = base(tmp_path, endpoint, "timeout=4", "patience=2")
        owed = sum(any(a["verdict"]["outcome"] == "error" for a in row["attempts"]) for row in said(tmp_path))
        assert done.returncode == 1
        assert 0 < owed < PROBLEMS
        assert f"{owed} of {PROBLEMS} dialogues ended in an error" in done.stderr
        table = json.loads(scorebench("compare", "--format", "json", folder=tmp_path).stdout)
        assert (table[0]["n"], table[0]["errors"], table[0]["acc_t2"]) == (PROBLEMS - owed, owed, 1.0)

        broken = False
        before = len(endpoint.calls)
        again = base(tmp_path, endpoint)
        assert again.returncode == 0, again.stderr
        assert len(endpoint.calls) - before == 2 * owed  # what had been answered is not asked again
    assert whole(tmp_path)


def test_nobody_there_then_somebody_there(tmp_path: Path) -> None:
    endpoint = FailingEndpoint(lambda call: answers)
    with endpoint.serving():
        pass  # now it has a port on which nobody listens
    done = base(tmp_path, endpoint, "patience=2")
    assert done.returncode == 1
    assert f"{PROBLEMS} of {PROBLEMS} dialogues ended in an error" in done.stderr
    assert "no connection" in done.stderr
    with endpoint.serving():
        assert base(tmp_path, endpoint).returncode == 0
    assert 1 < endpoint.most_open <= 16
    assert len(said(tmp_path)) == PROBLEMS
    assert whole(tmp_path)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--method", "base", "--model", "openai:m"], "OPENAI_API_KEY"),
        (["--method", "base", "--model", "openai:m", "--model-args", "base_url=localhost:1"], "no URL"),
        (["--method", "base", "--model", "openai:m", "--model-args", "base_url=URL"], "refuses the key"),
        (["--method", "base", "--model", "openai:m", "--model-args", "base_url=URL,price=1"], "knows no 'price'"),
        (["--method", "base", "--model", "openai:m", "--model-args", "base_url=URL,timeout=-1"], "timeout"),
        (["--method", "base", "--engine", "openai"], "name one with --model"),
        (["--method", "base,score", "--model", "openai:m", "--model-args", "base_url=URL"], "score cannot train"),
        (["--method", "base", "--model", "replay:none.jsonl"], "none.jsonl"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(tmp_path: Path, words: list[str], says: str) -> None:
    with FailingEndpoint(lambda call: refuses(401, "wrong key")).serving() as endpoint:
        typed = [word.replace("URL", endpoint.url) for word in words]
        done = scorebench("run", "--task", "math", "--data", "data", *typed, folder=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("scorebench: ")
    assert done.stderr.count("\n") == 1
    assert not done.stdout
