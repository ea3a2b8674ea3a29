"""Run folders: what a run is, its identity, its rows.

A run is a folder named by what defines it. run.json says what that is, with the packages, the hardware and the time;
episodes.jsonl has one line an episode, appended when it is complete. So a run that is killed goes on where it stopped,
and rows of another configuration are never taken.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from scorebench.api.errors import UserError
from scorebench.api.text import as_text
from scorebench.api.types import Episode
from scorebench.storage.environment import environment
from scorebench.storage.files import alone, disk_faults, replacing, write_json
from scorebench.storage.rows import StoredRows, as_line, as_row, read_rows, write_rows
from scorebench.storage.rows import as_episode as as_episode

log = logging.getLogger(__name__)


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits of any plain data."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(as_text(text).encode()).hexdigest()[:16]


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

    @property
    def _path(self) -> Path:
        return self.folder / "episodes.jsonl"

    def rows(self) -> dict[tuple[str, int], Episode]:
        """The complete episodes by problem and sample. Of an episode that was played again, the last counts.

        Lines that are no rows of this run are left out; one warning names the first of them and counts them.
        """
        found = self.stored()
        if found.faults:
            count = f" and {len(found.faults) - 1:,} other lines" if len(found.faults) > 1 else ""
            log.warning("%s, %s%s: left out; `scorebench run` plays it again.", self._path, found.faults[0], count)
        return {(row.episode.problem_id, row.episode.sample): row.episode for row in found.read}

    def stored(self) -> StoredRows:
        """The lines of episodes.jsonl in order, episodes that were played again included.

        A row on a problem that the run does not have, of a sample beyond its number, or with another number of attempts
        is one of the faults.
        """
        rows, known = read_rows(self._path), self._problems()
        ours = [row for row in rows.read if not self._foreign(row.episode, known)]
        foreign = [fault for row in rows.read if (fault := self._foreign(row.episode, known))]
        return StoredRows(ours, [*rows.faults, *foreign])

    def lines(self) -> Iterator[dict[str, Any]]:
        """The rows of stored(), as they stand in the file."""
        return (row.values for row in self.stored().read)

    def _problems(self) -> frozenset[str] | None:
        """The ids of problems.json; None for runs of earlier versions, which have no such file."""
        path = self.folder / "problems.json"
        problems = read_json(path) if path.exists() else None
        return frozenset(map(str, problems)) if isinstance(problems, list) else None

    def _foreign(self, episode: Episode, known: frozenset[str] | None) -> str | None:
        """Why an episode cannot be one of this run's; None where it can."""
        name = f"the row of {episode.problem_id!r:.60}, sample {episode.sample},"
        samples, turns = self.identity.get("samples"), self.identity.get("turns")
        if known is not None and episode.problem_id not in known:
            return f"{name} is on a problem that this run does not have"
        if samples is not None and episode.sample >= samples:
            return f"{name} is beyond the {samples} samples of this run"
        if turns is not None and len(episode.attempts) != turns:
            return f"{name} has {len(episode.attempts)} attempts where this run has {turns}"
        return None

    def spent(self) -> tuple[float, dict[str, float]]:
        """Seconds spent on the rows and, where an engine says it, tokens and dollars, over all of its sessions."""
        rows = read_rows(self._path).read
        values = rows[-1].values if rows else {}
        return values.get("elapsed", 0.0), values.get("account", {})

    def meta(self) -> dict[str, Any]:
        """run.json, with the folder's name as `run`, the time of its rows as `seconds` and what they cost."""
        seconds, account = self.spent()
        about = read_json(self.folder / "run.json").get("about")
        about = about if isinstance(about, dict) else {}
        read = {"run": self.name, "seconds": seconds, "account": account}
        return {**self.identity, **about, **read, "asked": self.asked(), "trained_with": self.trained_with()}

    def describe(self, **notes: str) -> None:
        """Adds notes to what run.json says about the run; they are no part of its identity."""
        path = self.folder / "run.json"
        if notes:
            read = read_json(path)
            write_json(path, {**read, "about": {**read.get("about", {}), **notes}})

    def asked(self) -> Mapping[str, Any]:
        """The flags that the run was asked for with (run.yaml); none where they are not stored."""
        import yaml

        path = self.folder / "run.yaml"
        if not path.exists():
            return {}
        try:
            flags = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as fault:
            raise UserError(f"Cannot read {path}: {fault}; remove it, and give the run's command again.") from fault
        return flags if isinstance(flags, dict) else {}

    def trained_with(self) -> Mapping[str, Any]:
        """What the training of the run's model took (`spent` of its training.json); nothing where it does not say."""
        training = self.identity.get("training")
        name = training.get("name") if isinstance(training, dict) else None
        path = self.folder.parent.with_name("checkpoints") / str(name) / "training.json"
        spent = read_json(path).get("spent") if name and path.exists() else None
        return spent if isinstance(spent, dict) else {}

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Opens the rows for appending; one process at a time.

        What follows the last line break is cut off: a process died while it wrote. Lines that are no rows of this run
        are taken out, and a copy of the file as it was stays beside it as episodes.jsonl.damaged.
        """
        with alone(self.folder, "writing"):
            _drop_half_line(self._path)
            found = self.stored()
            if found.faults:
                self.keep_as("damaged")
                self.replace_rows(row.values for row in found.read)
            with disk_faults(self._path):
                file = self._path.open("ab", buffering=0)  # nothing is left to be written when it is closed
            with file:
                yield Writer(file, self._path, *self.spent())

    def keep_as(self, ending: str) -> None:
        """Copies the rows as they are to episodes.jsonl.ENDING, in the place of an earlier copy."""
        with replacing(self._path.with_name(f"{self._path.name}.{ending}")) as part:
            shutil.copyfile(self._path, part)

    def replace_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Writes all rows anew, in one step; only inside writing(), or where nobody else can be writing."""
        with replacing(self._path) as part:
            write_rows(part, rows)

    def start_anew(self) -> None:
        """Sets the rows aside as episodes.jsonl.old, in the place of earlier ones, so that all are played again."""
        with alone(self.folder, "writing"), disk_faults(self._path):
            if self._path.exists():
                self._path.replace(self._path.with_name(f"{self._path.name}.old"))


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
        line = as_line(row)
        with disk_faults(self.path):
            while line:
                line = line[self.file.write(line) :]


def _drop_half_line(path: Path) -> None:
    """Shortens the file to its last line break."""
    if path.exists():
        with disk_faults(path), path.open("r+b") as file:
            file.truncate(path.read_bytes().rfind(b"\n") + 1)


def run_of(root: Path, identity: Mapping[str, Any]) -> Run:
    """The run of this identity under root, whether it has begun or not."""
    words = (identity["task"]["name"], identity["data"], identity["method"]["name"], identity["model"]["name"])
    return Run(root / folder_name(*words, f"s{identity['seed']}", identity=identity), identity)


def open_run(root: Path, identity: Mapping[str, Any], problems: Sequence[str] | None = None) -> Run:
    """The run of this identity under root, made if there is none.

    problems: the ids of its problems, by which rows of other problems are told later; None where they are not known.
    """
    run = run_of(root, identity)
    if (run.folder / "run.json").exists():
        if digest(stored_run(run.folder).identity) != digest(identity):
            raise UserError(f"{run.folder} describes another run than its name does; move the folder away.")
    else:
        if problems is not None:
            write_json(run.folder / "problems.json", problems, indent=None)
        write_json(run.folder / "run.json", {"identity": identity, "about": environment()})
    return run


def stored_run(folder: Path) -> Run:
    """The run in a folder; UserError where its run.json cannot be read or is no run's."""
    path = folder / "run.json"
    read = read_json(path)
    try:
        _Record.model_validate(read)
    except ValidationError as fault:
        first = fault.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path} describes no run that this version can read ({place}: {first['msg']}); move its folder away."
        ) from fault
    return Run(folder, read["identity"])


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class _Named(_Open):
    name: str


class _Problems(_Open):
    count: int


class _Sampling(_Open):
    temperature: float


class _Identity(_Open):
    """What every identity has, in this version and in those before it, and the types of what else is read of it."""

    task: _Named
    data: str
    split: str
    method: _Named
    model: _Named
    seed: int
    problems: _Problems | None = None
    sampling: _Sampling | None = None
    turns: int | None = None
    samples: int | None = None


class _Record(_Open):
    identity: _Identity


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


def open_pool(root: Path, identity: Mapping[str, Any], problems: Sequence[str] | None = None) -> Run:
    """find_pool's run, made if there is none."""
    run = find_pool(root, identity)
    return open_run(run.folder.parent, run.identity, problems)


def all_runs(root: Path) -> list[Run]:
    """Every run under root that can be read, by name. A warning names each folder that cannot."""
    runs = []
    for path in sorted(root.glob("*/run.json")):
        try:
            runs.append(stored_run(path.parent))
        except UserError as fault:
            log.warning("Left out: %s", fault)
    return runs


def tested_runs(root: Path) -> list[Run]:
    """The runs that tables show, those on test problems: validation is for choosing settings. UserError if none."""
    runs = [run for run in all_runs(root) if run.identity["split"] == "test"]
    if not runs:
        raise UserError(f"There are no runs in {root}; make one with `scorebench run`, or name another --out.")
    return runs


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:  # what is no UTF-8 and no JSON are ValueErrors
        raise UserError(f"Cannot read {path}: {fault}; remove its folder, or restore the file.") from fault
