"""The rows of a run: an episode as one line of JSON, and back.

docs/runs.md describes the fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, NonNegativeInt, ValidationError, model_validator

from scorebench.api.text import as_text
from scorebench.api.types import Attempt, Episode, Reply, Verdict


def as_row(episode: Episode) -> dict[str, Any]:
    """An episode as plain data. The text of an attempt is a message of the transcript, and stands only there."""
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
    """The next answer with this text after message `before`; that message itself where an earlier answer was kept."""
    answers = [i for i, m in enumerate(episode.transcript) if m["role"] == "assistant" and m["content"] == text]
    return next((i for i in answers if i > before), answers[0])


class _Message(BaseModel):
    role: str
    content: str


class _Attempt(BaseModel):
    message: NonNegativeInt
    finish_reason: Any
    tokens: NonNegativeInt
    sampled: NonNegativeInt | None = None
    prompt_tokens: NonNegativeInt
    computed_tokens: NonNegativeInt
    verdict: Verdict


class _Row(BaseModel):
    """What a row must have to be an episode."""

    problem: str
    sample: NonNegativeInt
    tags: dict[str, Any]
    attempts: list[_Attempt]
    transcript: list[_Message]
    seconds: float

    @model_validator(mode="after")
    def _has_its_messages(self) -> _Row:
        if not self.attempts or any(attempt.message >= len(self.transcript) for attempt in self.attempts):
            raise ValueError("an attempt's message is not in the transcript, or there is no attempt")
        return self


def as_episode(row: Mapping[str, Any]) -> Episode:
    """The episode of a stored row, without token ids and log-probabilities, which are not stored.

    Raises ValueError, with one line that says why, where the row is of another shape.
    """
    try:
        read = _Row.model_validate(row)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from fault
    attempts = tuple(
        Attempt(
            Reply(
                text=read.transcript[a.message].content,
                finish_reason=a.finish_reason,
                tokens=a.tokens,
                prompt_tokens=a.prompt_tokens,
                computed_tokens=a.computed_tokens,
            ),
            a.verdict,
            a.sampled,
        )
        for a in read.attempts
    )
    transcript: Sequence[Any] = row["transcript"]
    return Episode(read.problem, read.sample, attempts, tuple(transcript), read.tags, read.seconds)


@dataclass(frozen=True)
class StoredRow:
    """A line of episodes.jsonl: its values as they stand there, and the episode that they tell."""

    values: dict[str, Any]
    episode: Episode


@dataclass(frozen=True)
class StoredRows:
    """The lines of a file of rows. faults: what is wrong with each of the others, with the number of its line."""

    read: list[StoredRow]
    faults: list[str]


def read_rows(path: Path) -> StoredRows:
    """All whole lines of a file of rows. What follows the last line break was cut off when a process died."""
    read, faults = [], []
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
            read.append(StoredRow(values, as_episode(values)))
        except (ValueError, RecursionError) as fault:  # JSON and UTF-8 faults are ValueErrors too
            faults.append(f"line {number} is no row ({str(fault).splitlines()[0]:.120})")
    return StoredRows(read, faults)


def as_line(row: Mapping[str, Any]) -> bytes:
    """A row as a line of UTF-8 with its line break, whatever text it holds."""
    return as_text(json.dumps(row, ensure_ascii=False)).encode() + b"\n"


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows into a new file; for a file that takes another's place, see files.replacing."""
    with path.open("wb") as file:
        file.writelines(map(as_line, rows))
