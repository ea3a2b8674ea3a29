"""Rows of a benchmark: from the hub at a pinned revision or from a folder, each of them checked on the way in.

Nothing is skipped here. A row that cannot be read stops the load, because a benchmark with fewer rows is another one.

Why not the package `datasets`: to read the 12,000 rows of math_train12k.jsonl.gz it takes 1.2 s of processor time, and
pandas 0.7 s, where this file takes 0.2 s (benchmarks/reading_rows.py), and a stored run has to answer within 2 s. It
also names neither the line nor the field that is wrong, and takes a number where the column is text.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.protocols import Source
from scorebench.api.text import is_text

Fields = Mapping[str, type]

# What to do about a damaged file of a benchmark, as the end of a complaint.
MEND = "get the file anew and name its folder with --data."


@dataclass(frozen=True)
class Row:
    """One row, and where it stands ("mbpp.jsonl.gz, line 12"), for complaints about it."""

    values: Mapping[str, Any]
    where: str

    def __getitem__(self, field: str) -> Any:
        return self.values[field]


@dataclass(frozen=True)
class Table:
    """A file of a benchmark as it was published: where it is found and how it is known to be whole and unchanged.

    file: its name in a folder of the upstream files; there it may also be compressed, with ".gz" after the name.
    repo, revision, paths: the dataset on the hub, the full hash of a commit, and the files that hold the rows there.
    rows: how many rows it has.
    fields: what every row must have, and the type; `list` stands for a list of strings.
    content: content_digest() of the rows, which the hub's rows must have. None where the rows of that revision were
        not at hand to compute it from; then the revision and the number of rows alone tell the file.
    """

    file: str
    repo: str
    revision: str
    paths: tuple[str, ...]
    rows: int
    fields: Fields
    content: str | None = None


def load_table(table: Table, source: Source) -> tuple[list[Row], str]:
    """All rows of a table and the label of their source: "hub", or "folder:" and eight digits of the file's digest.

    Raises UserError if the file is missing or damaged, a row cannot be read, or the number of rows is not the table's.
    """
    if source.kind == "folder":
        file = find_file(source.folder, table.file)
        content = read_bytes(file)
        rows, label, place = list(rows_of(content, file.name, table.fields)), folder_label(content), str(file)
    else:
        rows, label, place = _from_hub(table), "hub", f"{table.repo} on the hub"
    if len(rows) != table.rows:
        raise UserError(f"{place} has {len(rows):,} rows where the benchmark has {table.rows:,}: {MEND}")
    return rows, label


def require_unique(rows: Iterable[Row], field: str) -> None:
    """Raises UserError if two rows have the same value in a field."""
    first: dict[Any, Row] = {}
    for row in rows:
        if row[field] in first:
            raise UserError(
                f"{row.where} has the {field} {row[field]!r} of {first[row[field]].where}: remove one of the two."
            )
        first[row[field]] = row


def folder_label(*contents: bytes) -> str:
    """The label of data read from files of a user: eight digits of the sha256 over their uncompressed bytes."""
    return "folder:" + hashlib.sha256(b"".join(contents)).hexdigest()[:8]


def content_digest(rows: Iterable[Row], fields: Iterable[str]) -> str:
    """Sha256 over some fields of rows, in any order of the rows: the same for every file format that holds them."""
    names = sorted(fields)
    lines = sorted(json.dumps([row[name] for name in names], ensure_ascii=False) for row in rows)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# Files of a user ------------------------------------------------------------------------------------------------------


def find_file(folder: Path | None, *names: str) -> Path:
    """The first of the named files that a folder has, plain or with ".gz"; UserError if it has none of them."""
    if folder is None or not folder.is_dir():
        raise UserError(f"There is no folder {folder}: name one that holds {' or '.join(names)} with --data.")
    for name in names:
        for file in (folder / name, folder / f"{name}.gz"):
            if file.is_file():
                return file
    wanted = " or ".join(f"{name}, plain or as {name}.gz" for name in names)
    raise UserError(f"The folder {folder} does not hold {wanted}: put it there, or name another folder with --data.")


def read_bytes(file: Path) -> bytes:
    """The content of a file, uncompressed if it is gzip; UserError if it cannot be read whole."""
    try:
        content = file.read_bytes()
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"{file} is damaged or was cut off ({error}): copy or download it again.") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}.") from error


def read_rows(file: Path, fields: Fields) -> list[Row]:
    """All rows of a file of JSON Lines, a JSON list or parquet, plain or gzip; UserError at the first bad row."""
    return list(rows_of(read_bytes(file), file.name, fields))


def rows_of(content: bytes, name: str, fields: Fields) -> Iterator[Row]:
    """The rows in the content of a file called `name`; raises UserError where one is bad."""
    for row in scan(content, name, fields):
        if isinstance(row, UserError):
            raise row
        yield row


def scan(content: bytes, name: str, fields: Fields) -> Iterator[Row | UserError]:
    """The rows in the content of a file, with a complaint in the place of each bad one.

    For readers that go on after a bad row, such as the grading of other people's files.
    """
    records: Iterator[tuple[int, Any]]
    if content.startswith(b"PAR1"):
        records, unit = _parquet(content, name), "row"
    elif content[:64].lstrip().startswith(b"["):
        records, unit = _json_list(content, name), "item"
    else:
        records, unit = ((number, _parsed(line)) for number, line in _lines(content)), "line"
    for number, record in records:
        where = f"{name}, {unit} {number}"
        fault = _fault(record, fields)
        yield UserError(f"{where} {fault}: mend that {unit} or get the file anew.") if fault else Row(record, where)


class _Fault(str):
    """What is wrong with a record, in the place of the record."""


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(content.split(b"\n"), 1) if line.strip())


def _parsed(line: bytes) -> Any:
    """What a line of JSON says, or a _Fault."""
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return _Fault(f"is no UTF-8 text (byte {error.start + 1} of the line)")
    except (ValueError, RecursionError) as error:
        return _Fault(f"is cut off or no JSON ({error})")


def _json_list(content: bytes, name: str) -> Iterator[tuple[int, Any]]:
    records = _parsed(content)
    if not isinstance(records, list):
        raise UserError(f"{name} {records}: get the file anew.")
    return enumerate(records, 1)


def _parquet(content: bytes, name: str) -> Iterator[tuple[int, Any]]:
    import pyarrow
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(pyarrow.BufferReader(content)).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise UserError(f"{name} is damaged or was cut off ({_first_line(error)}): get the file anew.") from error
    return enumerate(rows, 1)


def _fault(record: Any, fields: Fields) -> str | None:
    """What keeps a record from being a row with these fields."""
    if isinstance(record, _Fault):
        return record
    if not isinstance(record, dict):
        return "is no JSON object"
    for field, kind in fields.items():
        if field not in record:
            return f"has no field {field!r}"
        value = record[field]
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            return f"has {value!r:.40} in the field {field!r}, which takes {_KINDS[kind]}"
        texts: Sequence[Any] = value if kind is list else [value] if kind is str else []
        if not all(isinstance(text, str) and is_text(text) for text in texts):
            return f"has something other than text in the field {field!r}"
    return None


_KINDS = {str: "a text", int: "a whole number", list: "a list of texts", bool: "true or false"}


# The hub --------------------------------------------------------------------------------------------------------------


def _from_hub(table: Table) -> list[Row]:
    files = [fetch(table, path) for path in table.paths]
    cache = files[0].parents[len(Path(table.paths[0]).parts) + 1]  # the dataset's: CACHE/snapshots/REVISION/PATH
    fault = f"The rows of {table.repo} are not the published ones"
    mend = f"delete {cache} and load again, or {MEND}"
    try:
        rows = [row for file in files for row in read_rows(file, table.fields)]
    except UserError as error:
        raise UserError(f"{fault} ({str(error).partition(': ')[0]}): {mend}") from error
    if table.content not in (None, content_digest(rows, table.fields)):
        raise UserError(f"{fault}: {mend}")
    return rows


def fetch(table: Table, path: str) -> Path:
    """A file of a table from the hub at the table's revision, or from the hub's cache on this machine.

    Honours HF_ENDPOINT, HF_HUB_OFFLINE and HF_HOME. Raises UserError, within seconds where there is no network.
    """
    import huggingface_hub as hub
    from huggingface_hub import errors

    place = f"{path} of {table.repo}"
    # Read here and not by the library, which reads it only once, when it is imported.
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        file = hub.try_to_load_from_cache(table.repo, path, revision=table.revision, repo_type="dataset")
        if not isinstance(file, str):
            at: dict[str, Any] = {"revision": table.revision, "repo_type": "dataset", "endpoint": endpoint}
            # Asked first for what it raises: without a network hf_hub_download tries again for half a minute.
            hub.get_hf_file_metadata(hub.hf_hub_url(table.repo, path, **at))
            with _quiet("huggingface_hub"):
                file = hub.hf_hub_download(table.repo, path, **at)
    except errors.RevisionNotFoundError as error:
        fault, cause = f"The hub does not have revision {table.revision} of {table.repo}", error
    except errors.RemoteEntryNotFoundError as error:
        fault, cause = f"The hub does not have {place} at revision {table.revision}", error
    except errors.RepositoryNotFoundError as error:
        fault, cause = f"The hub does not have the dataset {table.repo}, or does not show it to you", error
    # All the rest is a fault of the network or the disk; its class depends on the HTTP client that the library uses.
    except Exception as error:
        fault, cause = f"{place} could not be fetched from the hub ({_first_line(error)})", error
    else:
        _require_whole(Path(file), place, table.file)
        return Path(file)
    raise UserError(f"{fault}: name a folder that holds {table.file} with --data.") from cause


def _require_whole(file: Path, place: str, upstream: str) -> None:
    """Raises UserError if a cached file is not the one that the hub announced.

    The cache is a tree of links to blobs, and the blob of a large file is named by the sha256 of its bytes.
    """
    announced = Path(os.readlink(file)).name if file.is_symlink() else ""
    if len(announced) == 64 and hashlib.sha256(file.read_bytes()).hexdigest() != announced:
        raise UserError(
            f"{place} is not the file that the hub announced: delete {file.resolve()} and load again, "
            f"or name a folder that holds {upstream} with --data."
        )


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Holds back a library's warnings about attempts that it repeats by itself."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
