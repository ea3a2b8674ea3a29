"""The replay engine: answers every dialogue from a file of recorded replies, for tests and other people's transcripts.

The file is JSON Lines: rows {"id": problem, "attempts": [reply, ...]}, several of one id being its samples in order, or
the episodes.jsonl of a run. A dialogue's n-th reply is the n-th recorded one, whatever was asked, a given first
attempt counted: so rows of attempts are for methods that ask for nothing else, and an episodes.jsonl is for the
method that made it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorebench.api.errors import EngineError, UserError
from scorebench.api.protocols import Engine, ModelSpec
from scorebench.api.text import is_text
from scorebench.api.types import Message, Reply, Sampling
from scorebench.dialogue.player import NO_REPLY, playing, replies_before
from scorebench.storage.datasets import Row, read_bytes, rows_of
from scorebench.storage.rows import as_episode

Replies = dict[tuple[str, int], tuple[Reply, ...]]


@dataclass(frozen=True)
class ReplayEngine:
    """Gives the recorded replies of (problem id, sample). EngineError where there is none."""

    file: Path
    replies: Replies
    name: str = "replay"
    chat: None = None
    at_once: int = 64

    async def reply(
        self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...], sampling: Sampling, seed: int
    ) -> Reply:
        job = playing.get()
        number = replies_before.get()
        recorded = self.replies.get((job.problem.id, job.sample), ())
        if number >= len(recorded):
            raise EngineError(f"{self.file} has no reply {number + 1} to {job.problem.id}, sample {job.sample}")
        return recorded[number]


def recorded(file: Path) -> Replies:
    """The replies of a file by problem and sample; UserError at the first row that cannot be read."""
    replies: Replies = {}
    samples: Counter[str] = Counter()
    for row in rows_of(read_bytes(file), str(file), {}):
        if "transcript" in row.values:
            key, replies[key] = _of_episode(row)
        else:
            problem, attempts = _of_attempts(row)
            replies[problem, samples[problem]] = attempts
            samples[problem] += 1
    return replies


def _of_attempts(row: Row) -> tuple[str, tuple[Reply, ...]]:
    problem, attempts = row.values.get("id"), row.values.get("attempts")
    if not isinstance(problem, str) or not isinstance(attempts, list) or not all(map(_is_reply, attempts)):
        raise UserError(f'{row.where} is no {{"id": problem, "attempts": [reply, ...]}}; mend it, or take it out.')
    return problem, tuple(map(Reply, attempts))


def _is_reply(value: Any) -> bool:
    return isinstance(value, str) and is_text(value)


def _of_episode(row: Row) -> tuple[tuple[str, int], tuple[Reply, ...]]:
    """The replies of a stored episode, up to the first that its engine could not give."""
    try:
        episode = as_episode(row.values)
        attempts = {
            stored["message"]: attempt for stored, attempt in zip(row["attempts"], episode.attempts, strict=True)
        }
        replies = []
        for at, message in enumerate(episode.transcript):
            if at in attempts and attempts[at].verdict.rule in NO_REPLY:
                break
            if message["role"] == "assistant":
                replies.append(attempts[at].reply if at in attempts else Reply(message["content"]))
    except (KeyError, TypeError, IndexError, ValueError) as fault:
        raise UserError(
            f"{row.where} is no row of a run's episodes.jsonl ({type(fault).__name__}: {fault}); take it out."
        ) from fault
    return (episode.problem_id, episode.sample), tuple(replies)


@dataclass(frozen=True)
class _Opener:
    """`--engine replay`. What is recorded identifies the model: another file is another run."""

    def __call__(self, spec: ModelSpec) -> Engine:
        file = Path(spec.path)
        return ReplayEngine(file, recorded(file))

    def identify(self, spec: ModelSpec) -> Mapping[str, Any]:
        file = Path(spec.path)
        named = file.parent.name if file.name == "episodes.jsonl" else file.name
        return {"name": f"replay:{named}", "digest": hashlib.sha256(read_bytes(file)).hexdigest()[:16]}


open_engine = _Opener()
