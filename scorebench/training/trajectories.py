"""Dialogues of a policy on disk, with their ids, and the examples that are made of them: what is imitated.

A collection of the paper's size has 1.5 million dialogues. So neither the dialogues nor the examples are held in
memory, only the place of each in its file. A collection that was killed goes on where it stopped.
"""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from scorebench.api import distributed
from scorebench.api.progress import progress
from scorebench.api.types import Episode, Problem
from scorebench.dialogue.player import EpisodeRequest, Player
from scorebench.storage.files import disk_faults, replacing, write_json
from scorebench.training.rollout import is_paid, was_made

SPENT = "collected.json"  # beside a collection: what it took


@dataclass(frozen=True)
class Sample:
    """One attempt as it was sampled: its dialogue and turn, its ids, and whether it counts as right."""

    sample: int
    turn: int
    text: str
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    passed: bool


@dataclass(frozen=True)
class Trajectory:
    """One dialogue: the problem and its attempts in order; no attempts where one of them has no verdict.

    sampled: how many tokens were sampled for each reply, also where there are no attempts.
    """

    problem: str
    attempts: tuple[Sample, ...]
    sampled: tuple[int, ...] = ()


@dataclass(frozen=True)
class Example:
    """One thing to imitate.

    kind: "wrong-right" and "right-right" are second attempts after a first one; "gold" is a first attempt and
        "correction" a second one that a data set gives.
    first, second: the attempts that the example was made of, None where the text comes from the data set.
    prompt_ids: all that stands before the imitated tokens. token_ids: the imitated tokens, which alone have a loss.
    """

    problem: str
    kind: str
    first: Sample | None
    second: Sample | None
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]


class Trajectories(Sequence[Trajectory]):
    """The dialogues of a collection in order: dialogue i is on problem i % P, as its sample i // P.

    Each process writes a file of its own; all of them read all files. Memory: 10 bytes a dialogue.
    """

    def __init__(self, path: Path, problems: Sequence[Problem], dialogues: int) -> None:
        self.path, self.problems = path, problems
        self._number = {problem.id: i for i, problem in enumerate(problems)}
        self._file_of = array("h", [-1]) * dialogues
        self._offset = array("q", [0]) * dialogues
        self._open: dict[int, IO[bytes]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Looks up what stands in the files now."""
        for process, file in enumerate(self._files()):
            for offset, row in _read_rows(file):
                number = row["sample"] * len(self.problems) + self._number.get(row["problem"], len(self))
                if number < len(self):
                    self._file_of[number], self._offset[number] = process, offset

    def _files(self) -> list[Path]:
        found = []
        while (file := own_file(self.path, len(found))).exists():
            found.append(file)
        return found

    def missing(self) -> Iterator[EpisodeRequest]:
        """The dialogues that are not there yet; of several processes each is given its share."""
        at = 0
        for number, file in enumerate(self._file_of):
            if file < 0:
                if at % distributed.count() == distributed.own():
                    yield EpisodeRequest(self.problems[number % len(self.problems)], number // len(self.problems))
                at += 1

    def present(self) -> int:
        """How many dialogues are there."""
        return len(self) - self._file_of.count(-1)

    def __len__(self) -> int:
        return len(self._file_of)

    def __getitem__(self, number: Any) -> Any:
        process = self._file_of[number]
        if process < 0:
            raise RuntimeError(f"dialogue {number} of {self.path} is not there; do all machines see the same folder?")
        return _as_trajectory(_line_at(self._open, own_file(self.path, process), process, self._offset[number]))


def own_file(path: Path, process: int) -> Path:
    """The file that a process writes: the path itself for the first, PATH-1 and so on for the others."""
    return path.with_stem(f"{path.stem}-{process}") if process else path


async def collect_trajectories(
    path: Path, player: Player, problems: Sequence[Problem], dialogues: int, pay_echoes: bool = False
) -> Trajectories:
    """`dialogues` of them, spread evenly over the problems; those that stand in the files are not played again."""
    if distributed.is_first():
        _mend(path)
    distributed.together()
    collection = Trajectories(path, problems, dialogues)
    # All have looked before any writes: the shares are made of what is missing, and must be of the same list.
    distributed.together()
    done, played = collection.present(), 0
    title = f"{path.parent.name}: dialogues"
    with _appending(own_file(path, distributed.own())) as write, progress(title, dialogues, done) as tell:
        async for episode in player.episodes(collection.missing(), player.engine.at_once):
            write(_as_row(episode, pay_echoes))
            played += 1
            tell(min(dialogues, done + distributed.count() * played))
    distributed.together()
    collection.refresh()
    return collection


def _mend(path: Path) -> None:
    """Cuts off what a process that died left behind the last complete line of its file."""
    process = 0
    while (file := own_file(path, process)).exists():
        with disk_faults(file), file.open("r+b") as opened:
            end = 0
            for line in opened:
                end += len(line) if line.endswith(b"\n") else 0
            opened.truncate(end)
        process += 1
    # A process that has not written yet still needs a place in the row of files.
    for number in range(process, distributed.count()):
        with disk_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            own_file(path, number).touch()


@contextmanager
def _appending(path: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Gives what appends a row to the file."""
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")

    def write(row: Mapping[str, Any]) -> None:
        with disk_faults(path):
            file.write(json.dumps(row) + "\n")

    with file:
        yield write


class Examples(Sequence[Example]):
    """The examples of a file. One is read when it is asked for; memory: 8 bytes an example."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = array("q", (offset for offset, _ in _lines(path)))
        self._open: dict[int, IO[bytes]] = {}

    def __len__(self) -> int:
        return len(self._offset)

    def __getitem__(self, number: Any) -> Any:
        row = _line_at(self._open, self.path, 0, self._offset[number])
        first, second = (None if row[name] is None else _as_sample(row[name]) for name in ("first", "second"))
        ids = {name: tuple(row[name]) for name in ("prompt_ids", "token_ids")}
        return Example(row["problem"], row["kind"], first, second, **ids)


def write_examples(path: Path, examples: Iterable[Example]) -> Examples:
    """Writes the examples in the first process, where anybody can read them, and gives them to all processes."""
    if distributed.is_first():
        with replacing(path) as part, part.open("w", encoding="utf-8") as file:
            for example in examples:
                file.write(json.dumps(asdict(example)) + "\n")
    distributed.together()
    return Examples(path)


def write_spent(
    folder: Path, collection: Iterable[Trajectory], found: Mapping[str, int], used: Mapping[str, int]
) -> None:
    """Says in a file what was sampled, and how many examples of each kind were found and used."""
    if not distributed.is_first():
        return
    count: Counter[str] = Counter(dialogues=0, without_verdict=0, replies=0, sampled_tokens=0)
    for trajectory in collection:
        count["dialogues"] += 1
        count["without_verdict"] += not trajectory.attempts
        count["replies"] += len(trajectory.sampled)
        count["sampled_tokens"] += sum(trajectory.sampled)
    write_json(folder / SPENT, {**count, "found": dict(found), "used": dict(used)})


def _as_row(episode: Episode, pay_echoes: bool) -> dict[str, Any]:
    known = all(a.verdict.outcome != "error" for a in episode.attempts)
    attempts = [
        Sample(
            episode.sample,
            turn,
            a.reply.text,
            a.reply.prompt_ids,
            a.reply.token_ids,
            is_paid(a.verdict, pay_echoes),
        )
        for turn, a in enumerate(episode.attempts, start=1)
    ]
    return {
        "problem": episode.problem_id,
        "sample": episode.sample,
        "attempts": [asdict(attempt) for attempt in attempts] if known else [],
        "sampled": [a.tokens for a in episode.attempts if was_made(a)],
    }


def _as_trajectory(row: Mapping[str, Any]) -> Trajectory:
    attempts = tuple(map(_as_sample, row["attempts"]))
    sampled = row.get("sampled", [len(attempt.token_ids) for attempt in attempts])  # older files do not say it
    return Trajectory(row["problem"], attempts, tuple(sampled))


def _as_sample(values: Mapping[str, Any]) -> Sample:
    return Sample(**{**values, "prompt_ids": tuple(values["prompt_ids"]), "token_ids": tuple(values["token_ids"])})


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Each line with its offset."""
    offset = 0
    with path.open("rb") as file:
        for line in file:
            yield offset, line
            offset += len(line)


def _read_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    return ((offset, json.loads(line)) for offset, line in _lines(path))


def _line_at(files: dict[int, IO[bytes]], path: Path, number: int, offset: int) -> Any:
    """The line that begins at an offset of a file. The file stays open, as one of several, under its number."""
    if number not in files:
        files[number] = path.open("rb")
    files[number].seek(offset)
    return json.loads(files[number].readline())
