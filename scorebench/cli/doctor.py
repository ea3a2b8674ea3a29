"""`scorebench doctor`: what this machine has, and what to do about what is missing. One line for each subject."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from scorebench.api import registry
from scorebench.api.errors import UserError

_HUB_SECONDS = 3.0
_ROOM_GB = 2.0


def doctor(
    out: Annotated[Path, typer.Option(help="Folder of runs, checkpoints and tables.")] = Path("results"),
) -> None:
    """What this machine has: Python, packages, GPU, sandbox, engines, hub, embedded models."""
    for line in examine(out):
        print(line, flush=True)


def examine(out: Path) -> Iterator[str]:
    """The lines, each as soon as it is known. If one check breaks down, its line says so, and the others go on."""
    matters: dict[str, Callable[[], str]] = {
        "python": _python,
        "packages": _packages,
        "gpu": _gpu,
        "sandbox": _sandbox,
        "engines": _engines,
        "hub": _hub,
        "embedded models": _embedded,
        "disk": lambda: _disk(out),
    }
    for name, look in matters.items():
        try:
            yield f"{name:16} {look()}"
        except Exception as fault:  # a doctor that breaks down on a broken installation is of no use
            yield f"{name:16} cannot be examined: {type(fault).__name__}: {fault}"


def _python() -> str:
    from scorebench.storage.runs import environment

    return f"{platform.python_version()} at {sys.executable}, {environment()['machine']}"


def _packages() -> str:
    from scorebench.storage.runs import environment

    return ", ".join(f"{name} {version}" for name, version in environment()["packages"].items())


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return f"none that torch {torch.__version__} can use: models run on the CPU ({os.cpu_count()} cores)"
    names = (torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count()))
    return ", ".join(f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GiB)" for gpu in names)


def _sandbox() -> str:
    from scorebench.grading.sandbox import pool

    tier = pool.tier()
    means = ", ".join(tier.mechanisms) or "resource limits alone"
    if tier.name == "limits":
        advice = f"set {pool.TIER_VARIABLE}=limits in a container of your own to grade code all the same"
        return f"{tier.name} ({means}): programs cannot be confined here; {advice}"
    open_ = f"; a candidate program could still reach: {', '.join(tier.missing)}" if tier.missing else ""
    return f"{tier.name} ({means}): code is graded in isolation{open_}"


def _engines() -> str:
    usable = registry.names("engine")
    vllm = "" if find_spec("vllm") else "; vllm is not installed: pip install 'scorebench[vllm]' where there is a GPU"
    return ", ".join(usable) + vllm


def _hub() -> str:
    from huggingface_hub import constants

    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return "not asked, because HF_HUB_OFFLINE is set: cached data, --data FOLDER and the embedded world work"
    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    fault = _unreachable(endpoint)
    return (
        f"{endpoint} answers"
        if fault is None
        else (f"{endpoint} does not answer ({fault}): use --data FOLDER for the benchmarks and a folder for --model")
    )


def _unreachable(endpoint: str) -> str | None:
    """Why an address gives no answer; any answer is one."""
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        urlopen(Request(endpoint, method="HEAD"), timeout=_HUB_SECONDS).close()
    except HTTPError:
        return None
    except (URLError, OSError, ValueError) as fault:
        return str(getattr(fault, "reason", fault))
    return None


def _embedded() -> str:
    from scorebench import embedded

    found, lacking = [], []
    for world in sorted(embedded.WORLDS):
        try:
            embedded.model_path(world)
            found.append(world)
        except UserError as fault:
            lacking.append(str(fault))
    return "; ".join([", ".join(found) or "none", *lacking])


def _disk(out: Path) -> str:
    place = next(folder for folder in (out.resolve(), *out.resolve().parents) if folder.exists())
    free = shutil.disk_usage(place).free / 10**9
    advice = f": less than {_ROOM_GB:g} GB, make room or name another --out" if free < _ROOM_GB else ""
    return f"{free:.0f} GB free for {out}{advice}"
