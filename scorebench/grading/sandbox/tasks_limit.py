"""How many threads and processes a candidate may have at once.

Where this process may make a control group of its own, the kernel counts. That takes the group "pids" and, in most
containers, more rights than there are. Elsewhere the supervisor counts, a few times a second. RLIMIT_NPROC is no
substitute: the kernel does not apply it to root, and for others it counts all processes of the user.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MAX_TASKS = 128  # threads and processes, the fork server among them
_PLACES = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))  # of version 1 and of version 2
_PREFIX = "scorebench-"


class TasksGroup:
    """A control group for a fork server and all that it forks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def make(cls) -> TasksGroup | None:
        """A new group with the limit set; None where this process may not make one."""
        for place in _PLACES:
            folder = place / f"{_PREFIX}{os.getpid()}"
            try:
                _remove_old(place)
                folder.mkdir()
            except OSError:
                continue
            try:
                (folder / "pids.max").write_text(str(MAX_TASKS))
                return cls(folder)
            except OSError:  # a group without the controller
                folder.rmdir()
        return None

    def enter(self) -> None:
        """Move this process there; its children are born there."""
        (self.folder / "cgroup.procs").write_text("0")

    def remove(self) -> None:
        """Remove the group, which must be empty."""
        with contextlib.suppress(OSError):  # the next slot tries again
            self.folder.rmdir()


def _remove_old(place: Path) -> None:
    """Remove the groups of slots that were killed. The kernel refuses it for those that are in use."""
    for folder in place.glob(f"{_PREFIX}*"):
        if not Path(f"/proc/{folder.name.removeprefix(_PREFIX)}").exists():
            TasksGroup(folder).remove()


def tasks_below(pid: int) -> int:
    """The threads of all processes that descend from this one, as far as the kernel lists them."""
    count, waiting = 0, [pid]
    while waiting:
        process = waiting.pop()
        try:
            threads = os.listdir(f"/proc/{process}/task")
            if process != pid:
                count += len(threads)
            for thread in threads:
                with open(f"/proc/{process}/task/{thread}/children") as file:
                    waiting += [int(child) for child in file.read().split()]
        except OSError:  # it has ended in the meantime
            continue
    return count
