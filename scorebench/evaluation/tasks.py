"""Tasks as a run plays them: found by name, with the arguments and the reading that were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from scorebench.api import registry
from scorebench.api.errors import UserError
from scorebench.api.protocols import Task
from scorebench.dialogue.identity import task_args


def task_of(name: str, args: Mapping[str, Any] | None = None, reading: str = "loose") -> Task:
    """The task of this name with its `--task-args` and `--reading`.

    The arguments are the fields of a task that is a dataclass; its field `reading` is set by `--reading`.
    Raises UserError for a name, an argument or a reading that there is not.
    """
    task: Task = registry.find("task", name)
    known = task_args(task)
    for arg in args or {}:
        if arg not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise UserError(f"--task-args: the task {name} knows no {arg!r}; {takes}.")
    changes = dict(args or {})
    if reading != getattr(task, "reading", "loose"):
        if not hasattr(task, "reading"):
            raise UserError(f"--reading {reading}: the task {name} has one way to read replies; leave the flag out.")
        changes["reading"] = reading
    return _changed(task, changes) if changes else task


def _changed(task: Any, changes: Mapping[str, Any]) -> Task:
    assert is_dataclass(task), f"{task.name} has arguments, so it is a dataclass"
    try:
        return TypeAdapter(type(task)).validate_python({**asdict(task), **changes})  # type: ignore[arg-type]
    except ValidationError as fault:
        first = fault.errors()[0]
        raise UserError(
            f"--task-args: {first['loc'][0]} is wrong: {first['msg']} (given: {first['input']!r})."
        ) from fault


def task_in(identity: Mapping[str, Any]) -> Task:
    """The task that a stored run was played on."""
    task = identity["task"]
    return task_of(task["name"], task.get("args"), identity.get("reading", "loose"))
