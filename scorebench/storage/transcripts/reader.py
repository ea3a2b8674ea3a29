"""Reads other people's replies, in any of the formats of docs/files.md; the format is found by the content.

A problem may have several rows: its samples, in the order of the file. Where a problem begins with a given attempt (the
wrong program of a repair task), a row that does not begin with it is taken for what came after. A row that cannot be
read is named with its line, and the others are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.types import Attempt, Episode, Problem, Reply, Verdict
from scorebench.storage.datasets import Row
from scorebench.storage.rows import as_episode
from scorebench.storage.transcripts.dialogue import Dialogue, reply_of
from scorebench.storage.transcripts.files import recorded_in
from scorebench.storage.transcripts.problems import Finder
from scorebench.storage.transcripts.rows import dialogues_of

UNGRADED = Verdict("error", rule="ungraded")


@dataclass(frozen=True)
class Transcript:
    """A dialogue that can be graded: its row, where it stands, its problem, and the episode that it tells.

    values: the row as it was, or {"id", "attempts"} where a row of its format is no single dialogue.
    The verdicts of the episode are those that the row came with, or UNGRADED.
    """

    values: Mapping[str, Any]
    where: str
    problem: Problem
    episode: Episode


@dataclass(frozen=True)
class Transcripts:
    """A file of transcripts: the dialogues that can be graded, and a complaint for every row that cannot."""

    read: list[Transcript]
    complaints: list[UserError]


def read_transcripts(file: Path, problems: Sequence[Problem]) -> Transcripts:
    """The dialogues of a file or a folder; UserError where it cannot be read as a whole, with what was found."""
    find = Finder(problems)
    complaints: list[UserError] = []
    kept: dict[object, Transcript] = {}
    for number, recorded in enumerate(recorded_in(file, problems)):
        try:
            transcripts = _transcripts(recorded, find)
        except UserError as complaint:
            complaints.append(complaint)
        else:
            for place, (key, transcript) in enumerate(transcripts):
                unique = key or (number, place)
                kept.pop(unique, None)
                kept[unique] = transcript
    usual = _most_common(len(transcript.episode.attempts) for transcript in kept.values())
    odd = [transcript for transcript in kept.values() if len(transcript.episode.attempts) != usual]
    complaints += [_complaint_of_length(transcript, usual) for transcript in odd]
    return Transcripts(_numbered(t for t in kept.values() if len(t.episode.attempts) == usual), complaints)


def _transcripts(recorded: Row | Dialogue | UserError, find: Finder) -> list[tuple[object, Transcript]]:
    """The transcripts of a row, each with its key, or None; UserError names what is wrong with the row."""
    if isinstance(recorded, UserError):
        raise recorded
    if isinstance(recorded, Dialogue):
        return [_transcript(recorded, find)]
    if "transcript" in recorded.values:
        return [_own(recorded, find)]
    return [_transcript(dialogue, find) for dialogue in dialogues_of(recorded)]


def _transcript(dialogue: Dialogue, find: Finder) -> tuple[object, Transcript]:
    problem, examples = find.of(dialogue)
    replies = list(dialogue.replies[examples:])
    if not replies:
        raise UserError(f"{dialogue.where} has no reply behind the problem: mend or remove it.")
    if problem.given is not None and replies[0].text != problem.given:
        replies.insert(0, Reply(problem.given, finish_reason="given"))
    attempts = tuple(Attempt(reply, UNGRADED) for reply in replies)
    values = dialogue.values
    if values is None:
        values = {"id": problem.id, "attempts": [reply.text for reply in replies]}
    episode = Episode(problem.id, 0, attempts, tags=problem.tags)
    return dialogue.key, Transcript(values, dialogue.where, problem, episode)


def _own(row: Row, find: Finder) -> tuple[object, Transcript]:
    """An episode of a run. A run may have played it again: its last row counts, as it does for the run itself."""
    names = (row["problem"],) if "problem" in row.values else ()
    problem, _ = find.of(Dialogue(row.where, (), names, name_fields=("problem",)))
    try:
        episode = as_episode(row.values)
    except ValueError as fault:
        raise UserError(f"{row.where} is no whole episode of a run ({fault}): mend or remove it.") from fault
    for attempt in episode.attempts:
        reply_of(attempt.reply.text, row.where)
    key = (problem.id, episode.sample)
    return key, Transcript(row.values, row.where, problem, replace(episode, problem_id=problem.id))


def _numbered(transcripts: Iterable[Transcript]) -> list[Transcript]:
    """The transcripts with the samples of each problem counted from 0, in order."""
    seen: Counter[str] = Counter()
    numbered = []
    for transcript in transcripts:
        sample = seen[transcript.problem.id]
        seen[transcript.problem.id] += 1
        numbered.append(replace(transcript, episode=replace(transcript.episode, sample=sample)))
    return numbered


def _complaint_of_length(transcript: Transcript, usual: int) -> UserError:
    """Acc@t needs turn t of every row."""
    has = len(transcript.episode.attempts)
    return UserError(f"{transcript.where} has {has} attempts where most rows have {usual}: mend or remove it.")


def _most_common(numbers: Iterable[int]) -> int:
    return max(Counter(numbers).items(), key=lambda item: (item[1], item[0]), default=(0, 0))[0]
