"""SmolLM2-135M-Instruct as a GGUF file. `.ci/real` fetches it and runs these tests; all of them are marked `real`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

VARIABLE = "SCOREBENCH_REAL_MODEL"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.real)


@pytest.fixture(scope="session")
def real_model() -> Path:
    """The file that the environment names. Without it these tests fail: they were asked for with -m real."""
    if not os.environ.get(VARIABLE):
        pytest.fail(f"{VARIABLE} names no GGUF file; docs/engines.md brings SmolLM2-135M-Instruct")
    return Path(os.environ[VARIABLE]).resolve()
