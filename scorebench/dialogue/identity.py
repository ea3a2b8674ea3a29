"""What defines the two sides of a dialogue, the task and the method, for the identity of runs and trainings."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from scorebench.api.protocols import Ask, Method, Task
from scorebench.api.types import Problem, Reply, Verdict
from scorebench.storage.runs import digest

# What the probe's model says. Methods that read replies, such as pag, ask other things after the one than the other.
_PROBES = (("The answer is wrong.", Verdict("fail")), ("The answer is right.", Verdict("pass")))
_PROBE_TURNS = 3
_PROBE_ASKS = 50


def task_identity(task: Task) -> dict[str, Any]:
    """Name and version; and the arguments, where the task takes any (see `--task-args`)."""
    args = task_args(task)
    return {"name": task.name, "version": task.version, **({"args": args} if args else {})}


def task_args(task: Task) -> dict[str, Any]:
    """What `--task-args` can change: the fields of a task that is a dataclass, but for `reading`, with their values."""
    if not dataclasses.is_dataclass(task):
        return {}
    return {field.name: getattr(task, field.name) for field in dataclasses.fields(task) if field.name != "reading"}


def reading_of(task: Task) -> str:
    """How the task reads replies: "loose", or "strict" where it can and was asked to."""
    return getattr(task, "reading", "loose")


def method_identity(method: Method, task: Task, problems: Sequence[Problem]) -> dict[str, Any]:
    """Name, version, and a digest of all that the method asks in dialogues of three turns on the first problem."""
    version = getattr(method, "version", "1")
    return {"name": method.name, "version": version, "prompts": digest(_prompts(method, task, problems))}


def _prompts(method: Method, task: Task, problems: Sequence[Problem]) -> list[Any]:
    """What a dialogue asks on the first problem, once for each probe."""
    if not problems:
        return []
    donor = (problems[-1],) if getattr(method, "takes_donor", False) else ()
    asked = []
    for text, verdict in _PROBES:
        reply = Reply(text)
        answer = (reply, verdict) if getattr(method, "sees_verdicts", False) else reply
        asked.append(_asked(method.dialogue(task, problems[0], _PROBE_TURNS, *donor), answer))
    return asked


def _asked(dialogue: Any, answer: Any) -> list[Mapping[str, Any]]:
    """All Asks of a dialogue that gets the same answer each time. The player reports dialogues that are at fault."""
    asked: list[Mapping[str, Any]] = []
    if isinstance(dialogue, Generator):
        given = None
        while len(asked) < _PROBE_ASKS:
            try:
                ask = dialogue.send(given)
            except Exception:  # its end, or a fault
                break
            if not isinstance(ask, Ask):
                break
            given = answer
            asked.append(dataclasses.asdict(ask))
    return asked
