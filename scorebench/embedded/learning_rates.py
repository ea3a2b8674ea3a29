"""Learning rates for the embedded world, as `scorebench reproduce --tune` chose them.

learning_rates.json, beside this file, has a factor for each task and method. `scorebench run --method M` trains with
the learning rates of the method's preset times that factor. A value that is given with --set replaces both.
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
    """The factors, by the task that is trained on and by method; empty before any was chosen."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def at_chosen_rates(config: C, task: str, method: str) -> C:
    """The configuration with each learning rate times the method's factor; unchanged where no factor was chosen."""
    factor = factors().get(task, {}).get(method, 1.0)
    return type(config).model_validate(_scaled(config.model_dump(), factor))


def _scaled(values: Mapping[str, Any], factor: float) -> dict[str, Any]:
    return {
        name: value * factor if name == RATE else _scaled(value, factor) if isinstance(value, dict) else value
        for name, value in values.items()
    }


def rates(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Every learning rate in a configuration's values, with the name that --set uses for it."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from rates(value, f"{before}{name}.")
        elif name == RATE:
            yield before + name, value
