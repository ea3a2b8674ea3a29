"""Dialogues of a policy on disk, with their ids: what imitation is taught from.

They are collected once, at temperature 1, by the dialogue that evaluates and that reinforcement learning plays; killed,
the collection goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scorebench.api import distributed
from scorebench.api.progress import progress
from scorebench.api.types import Episode, Problem
from scorebench.dialogue.player import EpisodeRequest, Player
from scorebench.storage.files import disk_faults, replacing


@dataclass(frozen=True)
class Sample:
    """One attempt as it was sampled: which dialogue and turn it comes from, its ids, and whether it passed."""

    sample: int
    turn: int
    text: str
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    passed: bool


@dataclass(frozen=True)
class Trajectory:
    """One dialogue: the problem and its attempts in order."""

    problem: str
    attempts: tuple[Sample, ...]


@dataclass(frozen=True)
class Example:
    """One thing to imitate: the second attempt, after the first and the correction instruction.

    kind: "wrong-right" or "right-right". prompt_ids end where the second attempt begins; the loss is on token_ids
    alone, since the first attempt of most examples is wrong by design.
    """

    problem: str
    kind: str
    first: Sample
    second: Sample
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]


async def collect_trajectories(
    path: Path, player: Player, problems: Sequence[Problem], dialogues: int
) -> list[Trajectory]:
    """`dialogues` of them, spread evenly over the problems; those that stand in the file are not played again.

    An attempt without a verdict is of no use to anybody: its dialogue is left out. Of several processes each plays its
    share; those of the others are written when all are played.
    """
    jobs = [EpisodeRequest(problems[i % len(problems)], i // len(problems)) for i in range(dialogues)]
    done = distributed.agreed({_key(row): row for row in _read_rows(path)})
    missing = [job for job in jobs if (job.problem.id, job.sample) not in done]
    rows = []
    with _appending(path) as write, progress(f"{path.parent.name}: dialogues", len(jobs), len(done)) as tell:
        async for episode in player.episodes(missing[distributed.own() :: distributed.count()], player.engine.at_once):
            rows.append(_as_row(episode))
            write(rows[-1:])
            tell(len(done) + distributed.count() * len(rows))
        shares = distributed.everyones(rows)
        for share in shares[1:]:
            write(share)
    done |= {_key(row): row for share in shares for row in share}
    played = (done[job.problem.id, job.sample] for job in jobs)
    return [_as_trace(row) for row in played if row["attempts"]]


@contextmanager
def _appending(path: Path) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """Gives what appends rows to the file, in the first process."""
    if not distributed.is_first():
        yield lambda rows: None
        return
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")

    def write(rows: list[dict[str, Any]]) -> None:
        with disk_faults(path):
            file.writelines(json.dumps(row) + "\n" for row in rows)

    with file:
        yield write


def _key(row: Mapping[str, Any]) -> tuple[str, int]:
    return row["problem"], row["sample"]


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """The data set, for whoever wants to see what was imitated."""
    if not distributed.is_first():
        return
    with replacing(path) as part, part.open("w", encoding="utf-8") as file:
        for example in examples:
            file.write(json.dumps(asdict(example), ensure_ascii=False) + "\n")


def _as_row(episode: Episode) -> dict[str, Any]:
    known = all(attempt.verdict.outcome != "error" for attempt in episode.attempts)
    attempts = [
        Sample(episode.sample, turn, a.reply.text, a.reply.prompt_ids, a.reply.token_ids, a.verdict.passed)
        for turn, a in enumerate(episode.attempts, start=1)
    ]
    return {
        "problem": episode.problem_id,
        "sample": episode.sample,
        "attempts": [asdict(said) for said in attempts] if known else [],
    }


def _as_trace(row: Mapping[str, Any]) -> Trajectory:
    attempts = [
        Sample(**{**said, "prompt_ids": tuple(said["prompt_ids"]), "token_ids": tuple(said["token_ids"])})
        for said in row["attempts"]
    ]
    return Trajectory(row["problem"], tuple(attempts))


def _read_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """The complete lines; what follows the last line break was cut off, and is removed."""
    if path.exists() and distributed.is_first():
        whole = path.read_bytes()
        end = whole.rfind(b"\n") + 1
        with disk_faults(path), path.open("r+b") as file:
            file.truncate(end)
        yield from map(json.loads, whole[:end].splitlines())
