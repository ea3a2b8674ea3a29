"""Learning rates for the embedded world, as `scorebench reproduce --tune` chose them.

learning_rates.json, beside this file, holds a factor by task and method. A method's preset times its factor is what
`scorebench run --method M` trains with; --set goes over both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

C = TypeVar("C", bound=BaseModel)

FILE = Path(__file__).with_name("learning_rates.json")
RATE = "learning_rate"


def factors() -> dict[str, dict[str, float]]:
    """By the task that is trained on, by method; empty before anything was chosen."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def at_chosen_rates(config: C, task: str, method: str) -> C:
    """The configuration with each of its learning rates times the method's factor; as it is where none was chosen."""
    factor = factors().get(task, {}).get(method, 1.0)
    return type(config).model_validate(_scaled(config.model_dump(), factor))


def _scaled(values: Mapping[str, Any], factor: float) -> dict[str, Any]:
    return {
        name: value * factor if name == RATE else _scaled(value, factor) if isinstance(value, dict) else value
        for name, value in values.items()
    }


def rates(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Every learning rate of a configuration's values, with its path as --set takes it."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from rates(value, f"{before}{name}.")
        elif name == RATE:
            yield before + name, value
