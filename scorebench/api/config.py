"""Configurations: checking values against a pydantic model, and applying `--set name=value`."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from scorebench.api.errors import UserError

M = TypeVar("M", bound=BaseModel)


RENAMED = {"bonus": "alpha"}  # old names of fields, and what they are called now


def checked(model: type[M], values: Mapping[str, Any], where: str, assigned: Sequence[str] = ()) -> M:
    """A model of these values.

    Raises UserError with one sentence on the first value that is wrong. assigned: names that the user gave, as a.b.c;
    faults in them are told before others.
    """
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        faults = fault.errors()
        unknown = (f for f in faults if f["type"] == "extra_forbidden")  # told before what a wrong name leaves out
        first = next((f for f in faults if _name(f, values) in assigned), next(unknown, faults[0]))
        name = _name(first, values)
        if first["type"] == "extra_forbidden":
            raise UserError(f"In {where}, there is no {_shown(name)}; {_hint(name, model.model_fields)}") from fault
        same = [f for f in faults if _name(f, values) == name and f["type"] != "extra_forbidden"]
        reason = " or ".join(dict.fromkeys(map(_reason, same))).replace(" or must be", " or")
        raise UserError(f"In {where}, {_shown(name)} {reason} (given: {first['input']!r:.80}).") from fault


def _name(fault: Any, values: Any) -> str:
    """The place of a fault as a.b.c, without the parts that only pydantic knows (which type of a union it tried)."""
    parts = []
    for part in fault["loc"]:
        if isinstance(values, Mapping) and part in values:
            values = values[part]
            parts.append(str(part))
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
            parts.append(str(part + 1))  # as people count
    return ".".join(parts) or ".".join(map(str, fault["loc"]))


def _shown(name: str) -> str:
    return name.removeprefix("stages.").replace("_", "-" if "." not in name else "_")


def _reason(fault: Any) -> str:
    message = fault["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]
    return message.replace("Input should be", "must be").replace("Field required", "is missing something")


def _hint(name: str, known: Collection[str]) -> str:
    if any(part.isdigit() for part in name.split(".")):  # inside a list, whose parts have names of their own
        return "leave it out."
    if name in RENAMED:
        return f"it is called {RENAMED[name]} now."
    close = difflib.get_close_matches(name.replace("-", "_"), known, n=1)
    return f"did you mean {close[0].replace('_', '-')}?" if close else f"there are {', '.join(known)}."


def changed(config: M, assignments: Sequence[str]) -> M:
    """A configuration with each `--set name.of.field=value` applied. A stage may be named without `stages.`.

    Raises UserError for a name that the configuration does not have and for a value that the field does not take.
    """
    values = config.model_dump()
    assigned: list[str] = []
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise UserError(f"--set {assignment!r} has no '='; write --set name=value.")
        *parents, last = path.strip().split(".")
        if parents and parents[0] in values.get("stages", {}):
            parents = ["stages", *parents]
        at = values
        for name in parents:
            at = at.get(name) if isinstance(at, dict) else None
        if not isinstance(at, dict) or last not in at:
            raise UserError(f"--set: there is no {path.strip()!r}; {_path_hint(path.strip(), paths(values))}")
        at[last] = _value(assignment, text, several=isinstance(at[last], list | tuple))
        assigned.append(".".join([*parents, last]))
    return checked(type(config), values, "--set", assigned)


def _value(assignment: str, text: str, several: bool) -> Any:
    """The value of one assignment, read as YAML; `none` is no value. several: the field holds a list."""
    import yaml

    if text.strip().lower() == "none":
        return None
    try:
        read = yaml.safe_load(f"[{text}]")
    except (yaml.YAMLError, ValueError, RecursionError) as fault:  # ValueError: a date that the calendar lacks
        raise UserError(f"--set {assignment!r}: {text!r} cannot be read as a value; write --set name=value.") from fault
    return read if several else read[0] if isinstance(read, list) and len(read) == 1 else text


def _path_hint(path: str, known: Mapping[str, Any]) -> str:
    """What a wrong name of --set was meant to be: a name beside it, by its old name too; else all that there is."""
    parent, _, last = path.rpartition(".")
    beside = [name.rpartition(".")[2] for name in known if name.rpartition(".")[0] == parent]
    names = [*beside, *(old for old, new in RENAMED.items() if new in beside)]
    close = difflib.get_close_matches(last, names, n=1)
    if not close:
        return f"there are {', '.join(known)}."
    meant = f"{parent}.{RENAMED.get(close[0], close[0])}".removeprefix(".")
    return f"it is called {meant} now." if close[0] == last else f"did you mean {meant}?"


def paths(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Every value of a configuration by its path, as `--set` takes it: stage1.steps, lora.rank."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        inner = "" if name == "stages" and not before else f"{before}{name}."
        found |= paths(value, inner) if isinstance(value, dict) else {before + name: value}
    return found
