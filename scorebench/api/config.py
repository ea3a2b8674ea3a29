"""Configurations: checking values against a pydantic model, and applying `--set name=value`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from scorebench.api.errors import UserError

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], values: Mapping[str, Any], where: str) -> M:
    """A model of these values, or one sentence on the first that is wrong."""
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        first = fault.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).replace("_", "-") or "the whole"
        raise UserError(f"In {where}, {name} is wrong: {first['msg']} (given: {first['input']!r:.80}).") from fault


def changed(config: M, assignments: Sequence[str]) -> M:
    """A configuration with each `--set name.of.field=value` applied. A stage may be named without `stages.`.

    Raises UserError for a name that the configuration does not have and for a value that the field does not take.
    """
    values = config.model_dump()
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
            raise UserError(f"--set: there is no {path!r}; there are {', '.join(_paths(values))}.")
        at[last] = _value(assignment, text, several=isinstance(at[last], list | tuple))
    return checked(type(config), values, "--set")


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


def _paths(values: Mapping[str, Any], before: str = "") -> list[str]:
    names: list[str] = []
    for name, value in values.items():
        inner = "" if name == "stages" and not before else f"{before}{name}."
        names += _paths(value, inner) if isinstance(value, dict) else [before + name]
    return names
