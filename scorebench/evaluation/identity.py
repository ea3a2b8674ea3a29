"""What defines a run: everything that can change a row of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeGuard

from scorebench.api.protocols import Loaded, Method, ModelSpec, Opener, RemoteOpener, Task
from scorebench.api.types import Problem, Sampling
from scorebench.dialogue.identity import method_identity, reading_of, task_identity
from scorebench.engines.identity import model_identity as local_identity
from scorebench.engines.identity import weights_digest
from scorebench.evaluation.settings import Settings
from scorebench.storage.runs import digest
from scorebench.training.trainer import Training


def run_identity(
    settings: Settings,
    method: Method,
    task: Task,
    loaded: Loaded,
    model: Mapping[str, Any],
    engine: str,
    sampling: Sampling,
    training: Training | None,
) -> Mapping[str, Any]:
    """The identity of a run, as docs/runs.md describes it.

    model: what identifies the model before any training; `training` says what became of it.
    """
    config = training.identity["method"]["config"] if training else {}
    return {
        "task": task_identity(task),
        "data": loaded.data,
        "split": settings.split,
        "problems": problems_identity(task, loaded.problems),
        "method": {**method_identity(method, task, loaded.problems), "config": config},
        "model": model,
        "training": _checkpoint(training) if training else None,
        "engine": engine,
        "sampling": asdict(sampling),
        "reading": reading_of(task),
        "system_prompt": settings.system_prompt,
        "turns": settings.turns,
        "samples": settings.samples,
        "seed": settings.seed,
    }


def problems_identity(task: Task, problems: Sequence[Problem]) -> Mapping[str, Any]:
    """What stands in a run's identity for its problems: how many, and a digest of what a model is shown of them."""
    shown = [(problem.id, task.first_prompt(problem), problem.given) for problem in problems]
    return {"count": len(problems), "digest": digest(shown)}


def model_identity(spec: ModelSpec, opener: Opener) -> Mapping[str, Any]:
    """Everything of a model that can change a token: what its engine says, else what its files are."""
    if is_remote(opener):
        return opener.identify(spec)
    return local_identity(spec)


def is_remote(opener: Opener) -> TypeGuard[RemoteOpener]:
    """Whether the engine's models have no weights here."""
    return hasattr(opener, "identify")


def _checkpoint(training: Training) -> dict[str, str]:
    return {"name": training.folder.name, "digest": weights_digest(str(training.model))}
