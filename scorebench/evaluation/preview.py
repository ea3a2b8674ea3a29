"""What a command would do, without doing it: `--dry-run`, `--list-settings METHOD`, `--model-args help`."""

from __future__ import annotations

import json
from typing import Any

from scorebench.api import registry
from scorebench.api.config import changed, paths
from scorebench.api.errors import UserError
from scorebench.api.protocols import Ask, Method, Task, trains
from scorebench.api.types import Problem
from scorebench.embedded.learning_rates import at_chosen_rates
from scorebench.evaluation.session import Session, refuse_unused_set
from scorebench.evaluation.settings import Settings
from scorebench.evaluation.tasks import task_of
from scorebench.training.tuning import Tuning, tuning_from

SHOWN = 2  # problems whose first prompt is shown


def dry_run(settings: Settings) -> str:
    """What `scorebench run` would play with these settings, and the first prompts. No model is opened."""
    session = Session(settings)
    tasks = [task_of(name, settings.task_args, settings.reading) for name in settings.task]
    methods = [registry.find("method", name) for name in settings.method]
    refuse_unused_set(settings, methods)
    parts = [_plan(session, method, task) for task in tasks for method in methods]
    return "\n\n".join([*parts, "Nothing was played: leave --dry-run out."])


def _plan(session: Session, method: Method, task: Task) -> str:
    s = session.settings
    loaded = task.load(s.split, session.source)
    problems = loaded.problems[: s.limit]
    spec = session.spec(task)
    lines = [
        f"{method.name} on {task.name}: {len(problems):,} of {len(loaded.problems):,} {s.split} problems "
        f"({loaded.data}), {s.samples} dialogue{'s' * (s.samples > 1)} on each, {s.turns} attempts a dialogue",
        f"  model: {spec.path} (engine {spec.engine}), at most {session.max_tokens:,} tokens a reply, "
        f"temperature {s.temperature:g}, seed {s.seed}",
    ]
    if trains(method):
        tuning = tuning_from(s.set)[0].model_dump(exclude_defaults=True)
        values = paths(_configuration(method, task, s).model_dump()) | paths(tuning)
        lines.append(f"  first a training on {task.trained_on}, seed {s.seed}: " + ", ".join(_shown(values)))
    for problem in problems[:SHOWN]:
        lines += [f"  first prompt of {problem.id}:", *_prompt(method, task, problem, s.turns)]
    return "\n".join(lines)


def _prompt(method: Method, task: Task, problem: Problem, turns: int) -> list[str]:
    donor = (problem,) if getattr(method, "takes_donor", False) else ()
    ask: Ask = next(method.dialogue(task, problem, turns, *donor))
    return [f"    {m['role']}: {line}" for m in ask.messages for line in m["content"].splitlines() or [""]]


def _configuration(method: Any, task: Task, settings: Settings) -> Any:
    """The method's configuration as its training would have it: preset, chosen rates, --set."""
    config = method.preset(task, embedded=settings.model is None)
    if settings.model is None:
        config = at_chosen_rates(config, task.trained_on, method.name)
    return changed(config, tuning_from(settings.set)[1])


def settings_of(name: str, task: str | None, model: str | None) -> str:
    """Every name that --set can change in the training of a method, with the value that it has without --set.

    The presets depend on the task and on whether it is the embedded model that is trained.
    """
    method = registry.find("method", name)
    if not trains(method):
        raise UserError(f"{name} does not train, so --set changes nothing in it.")
    chosen: Task = registry.find("task", task or "math")
    given = Settings(method=[name], task=[chosen.name], model=model)
    values = paths(_configuration(method, chosen, given).model_dump()) | paths(Tuning().model_dump())
    of = "the embedded model" if model is None else "a model that is named"
    lines = [f"{name} on {chosen.name}, for {of}; change a value with --set NAME=VALUE:"]
    return "\n".join([*lines, *(f"  {line}" for line in _shown(values))])


def _shown(values: dict[str, Any]) -> list[str]:
    """name=value as --set takes it."""
    return [f"{name}={_plain(value)}" for name, value in values.items()]


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_plain, value))
    return value if isinstance(value, str) else json.dumps(value)


def arguments_of(engine: str | None) -> str:
    """What --model-args can say: for every engine, and for one alone (all engines where none is named)."""
    lines = [
        "--model-args name=value,name=value. For every engine, as the flags of the same names:",
        "  pretrained (--model), dtype, device, batch_size",
    ]
    for name in [engine] if engine and engine != "auto" else registry.names("engine"):
        options = getattr(registry.find("engine", name), "options", None)
        lines.append(f"For --engine {name}:" if options else f"For --engine {name}: nothing more")
        for field, about in (options.model_fields if options else {}).items():
            text = f"  {about.description}" if about.description else ""
            default = "needed" if about.is_required() else f"default {about.default}"
            lines.append(f"  {field} ({default}){text}")
    return "\n".join(lines)
