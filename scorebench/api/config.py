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
    """A method's configuration with `--set name.of.field=value` applied; a stage may be named without `stages.`."""
    import yaml

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
        number = yaml.safe_load(f"[{text}]")
        at[last] = number if isinstance(at[last], list | tuple) else number[0] if len(number) == 1 else text
    return checked(type(config), values, "--set")


def _paths(values: Mapping[str, Any], before: str = "") -> list[str]:
    names: list[str] = []
    for name, value in values.items():
        inner = "" if name == "stages" and not before else f"{before}{name}."
        names += _paths(value, inner) if isinstance(value, dict) else [before + name]
    return names
