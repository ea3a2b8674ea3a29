"""Writing files so that a half-written one is never taken for a result."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.text import as_text


@contextmanager
def replacing(path: Path, flag: str = "--out or --to") -> Iterator[Path]:
    """Gives a path to write to. It becomes `path` in one step when the block ends without an error.

    What is written there may be a file or a folder. After an error nothing is left of it, and `path` is as it was.
    flag: the flag by which the user can name another path, for the error message.
    """
    part = path.with_name(f".{path.name}.part{os.getpid()}")
    with disk_faults(path, flag):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            os.replace(part, path)
        finally:
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink(missing_ok=True)


def write_text(path: Path, text: str, flag: str = "--out or --to") -> None:
    """Writes a text file in one step; see `replacing`."""
    with replacing(path, flag) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, indent: int | None = 2) -> None:
    """Writes plain data as JSON, in one step. indent: None for a single line."""
    write_text(path, as_text(json.dumps(value, indent=indent, ensure_ascii=False)) + "\n")


@contextmanager
def disk_faults(path: Path, flag: str = "--out or --to") -> Iterator[None]:
    """Turns an OSError (a full disk, a missing right) into a UserError that names the path and the flag for it."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as fault:
        raise UserError(
            f"Cannot write {path}: {fault.filename} is no folder; remove it, or name another place with {flag}."
        ) from fault
    except OSError as fault:
        raise UserError(
            f"Cannot write {path}: {fault.strerror or fault}; make room, or name another place with {flag}, "
            "then give the same command again to go on."
        ) from fault


def make_parent(file: Path) -> None:
    """Makes the folder of a file that is to be written later.

    Commands call this for the file that --to names, before hours of work, so that a place that cannot be written is
    told at the start.
    UserError where the folder cannot be made, where nothing may be written into it, or where `file` is a folder.
    """
    with disk_faults(file, "--to"):
        file.parent.mkdir(parents=True, exist_ok=True)
    if file.is_dir():
        raise UserError(f"{file} is a folder; name a file to write.")
    if not os.access(file.parent, os.W_OK):
        raise UserError(f"Cannot write {file}: no right to write into {file.parent}; name another file.")


@contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
    """Holds the folder's lock, so that no two processes do the same work in it; UserError where another one does.

    doing: the work, as the words before the folder's name in that error: "writing", "training in". The kernel lets go
    of the lock when the process ends, in whatever way it ends.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=0)
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise UserError(f"Another process is {doing} {folder}; wait for it, or stop it.") from None
    try:
        yield
    finally:
        lock.release()
