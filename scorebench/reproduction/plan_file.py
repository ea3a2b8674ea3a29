"""A plan: runs of one real model, section by section, as a file; `scorebench reproduce --plan FILE` carries it out.

    title: SmolLM2-135M-Instruct
    about: What stands above the page's tables.
    flags: {model: ./smollm2.gguf, engine: hf}    # of every run that has no recipe
    sections:
      - title: Without training
        runs:
          - {method: [base, self-refine], task: humaneval}
      - title: Arithmetic
        trainings:                                # in this order, before the section's runs
          - {config: recipes/warm-up.yaml, out: checkpoints/warm-up}
        runs:
          - {config: recipes/score.yaml}          # a recipe is a --config of `scorebench run`

Paths are those of the folder in which the command is typed, as in every configuration file.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from scorebench.api import registry
from scorebench.api.config import checked
from scorebench.api.protocols import trains
from scorebench.evaluation.settings import read_yaml, settings_from
from scorebench.reproduction.jobs import Job


class Warmup(BaseModel):
    """A training whose checkpoint is put into the folder `out`: `scorebench train --config FILE --out FOLDER`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Path
    out: Path


class Section(BaseModel):
    """A part of the page: trainings, and runs that may begin from them.

    about: what stands above its tables; below: what stands beneath them. runs: flags of `scorebench run`, and perhaps
    `config`, a recipe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    about: str = ""
    below: str = ""
    trainings: list[Warmup] = []
    runs: Annotated[list[dict[str, Any]], Field(min_length=1)]


class Plan(BaseModel):
    """A page and what is run for it. flags: of `scorebench run`, for every run that has no recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    about: str = ""
    flags: dict[str, Any] = {}
    sections: Annotated[list[Section], Field(min_length=1)]


def read_plan(path: Path) -> Plan:
    """The plan in a file. Raises UserError where it is none."""
    return checked(Plan, read_yaml(path, "--plan"), f"the plan {path}")


def training_jobs(section: Section, out: Path) -> list[Job]:
    """The section's trainings, in the order in which they are to be done. out: the folder of results."""
    return [
        Job(settings_from({"out": out}, warmup.config), False, warmup.out.name, warmup.config, warmup.out)
        for warmup in section.trainings
    ]


def run_jobs(plan: Plan, section: Section, out: Path, data: Path | None, limit: int | None) -> list[tuple[Job, str]]:
    """A job for each method and task of the section, each once, with the command that a user types for it.

    data: where the rows of the benchmarks are; of runs without a recipe alone. limit: at most so many problems.
    Raises UserError where a run begins from a checkpoint that is not there yet.
    """
    found: dict[tuple[str, ...], tuple[Job, str]] = {}
    for flags in section.runs:
        for job, command in _jobs(plan, flags, out, data, limit):
            found.setdefault(tuple(job.command), (job, command))
    return list(found.values())


def _jobs(
    plan: Plan, flags: Mapping[str, Any], out: Path, data: Path | None, limit: int | None
) -> Iterator[tuple[Job, str]]:
    own = {name: value for name, value in flags.items() if name != "config"}
    recipe = Path(flags["config"]) if "config" in flags else None
    if recipe is None:
        own = {**plan.flags, **({"data": data} if data else {}), **own}
    settings = settings_from({**own, "out": out}, recipe)
    if limit is not None:
        settings = settings.model_copy(update={"limit": min(limit, settings.limit or limit)})
    for task in settings.task:
        for method in settings.method:
            trained = trains(registry.find("method", method))
            one = {"method": [method], "task": [task], "set": settings.set if trained else []}
            job = Job(settings.model_copy(update=one))
            yield job, _typed(job, recipe)


def _typed(job: Job, recipe: Path | None) -> str:
    """What a user types for this job alone."""
    if recipe is not None:
        return shlex.join(["scorebench", "run", "--config", str(recipe)])
    default_out = job.settings.model_copy(update={"out": Path("results")})
    return shlex.join(["scorebench", *Job(default_out).command[3:]])
