"""Writing so that nothing half-written is ever taken for a result."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a path to write to, which becomes `path` in one step when the block ends well; a file or a folder."""
    part = path.with_name(f".{path.name}.part{os.getpid()}")
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            os.replace(part, path)
        finally:
            _remove(part)


def write_json(path: Path, value: Any) -> None:
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """A full disk, a missing right or a dead mount, in one sentence."""
    try:
        yield
    except OSError as fault:
        raise UserError(
            f"Cannot write {path}: {fault.strerror or fault}; make room or name another folder with --out, "
            "then give the same command again to go on."
        ) from fault


@contextmanager
def alone(folder: Path, doing: str) -> Iterator[None]:
    """Holds the folder's lock, so that no two processes do the same work in it; UserError where another one does.

    doing: the work as a word before the folder's name: "writing", "training in". The kernel lets go of the lock
    when the process ends, however it ends.
    """
    path = folder / ".lock"
    with disk_faults(path):
        folder.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"Another process is {doing} {folder}; wait for it, or stop it.") from None
        yield


def _remove(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _remove(child)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
