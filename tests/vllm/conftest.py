"""vLLM on this machine's CPU: one engine for all tests of a session, since each takes a while to start."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scorebench import embedded
from scorebench.api.protocols import ModelSpec

MATH = str(embedded.model_path("math"))

# Of vLLM on a CPU: a process less, and threads that are not bound to a core which others may be using.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
os.environ["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.vllm)


def spec(path: str = MATH, **changes: Any) -> ModelSpec:
    from scorebench.engines.vllm import Options

    options = Options(kv_cache_memory_bytes=1 << 28, enforce_eager=True)
    return ModelSpec(path, "test", dtype="float32", device="cpu", options=options, engine="vllm", **changes)


@pytest.fixture(scope="session")
def math_engine() -> Iterator[Any]:
    """vLLM with the embedded math model. A test that pushes other weights puts these back."""
    from scorebench.engines.vllm import open_engine

    engine = open_engine(spec(batch_size=64))
    yield engine
    engine.close()
