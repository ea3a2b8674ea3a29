"""One `scorebench run`: every method on every task, each training done once, each model opened once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from scorebench import embedded
from scorebench.api import distributed, event_loop, registry, verbosity
from scorebench.api.chat import Chat
from scorebench.api.config import changed
from scorebench.api.errors import UserError
from scorebench.api.protocols import Engine, Loaded, Method, ModelSpec, Opener, Source, Task, Trained, trains
from scorebench.api.types import Episode, Sampling
from scorebench.embedded.learning_rates import at_chosen_rates
from scorebench.engines.naming import engine_options
from scorebench.evaluation.identity import is_remote, model_identity, run_identity
from scorebench.evaluation.runner import evaluate, graded_rows, has_error
from scorebench.evaluation.settings import Settings, template_args, write_settings
from scorebench.evaluation.tasks import task_of
from scorebench.storage.runs import Run, open_run, run_of
from scorebench.training.trainer import Training, train, training_of
from scorebench.training.tuning import tuning_from

_MAX_TOKENS = 1024  # the paper does not state its own
_MAX_TOKENS_EMBEDDED = 256


def tell(line: str) -> None:
    if distributed.is_first() and not verbosity.quiet:
        print(line, file=sys.stderr, flush=True)


@dataclass
class Session:
    """The settings, and what is kept between runs: the engine that was opened last.

    open: from the folder of runs, an identity, and the ids of the problems, to the run that the episodes are taken
        from and added to.
    owed: how many dialogues of the runs so far have an error in them, and are to be played again.
    """

    settings: Settings
    open: Callable[[Path, Mapping[str, Any], Sequence[str]], Run] = open_run
    owed: int = 0
    _opened: tuple[Any, Engine] | None = field(default=None, repr=False)

    @property
    def source(self) -> Source:
        """Embedded problems go with the embedded model, the hub's with a named one; --data overrides both."""
        data = self.settings.data
        if data is None:
            return Source("hub" if self.settings.model else "embedded")
        return Source(kind) if (kind := str(data)) in ("embedded", "hub") else Source("folder", data)

    def run(self) -> list[tuple[dict[str, Any], list[Episode]]]:
        """All runs asked for, in order: run.json's content and the episodes of each.

        Under torchrun all processes do the trainings, and the first one alone plays the runs; the others have none.
        """
        names = self.settings
        tasks = [task_of(name, names.task_args, names.reading) for name in names.task]
        methods: list[Method] = [registry.find("method", name) for name in names.method]
        refuse_unused_set(names, methods)
        self._check_engine(methods)
        self._announce()
        if distributed.count() > 1:
            self._train_together([m for m in methods if trains(m)], tasks)
            if not distributed.is_first():
                return []
        return [self.run_one(method, task) for task in tasks for method in methods]

    def _train_together(self, methods: Sequence[Trained], tasks: Sequence[Task]) -> None:
        if not methods:
            raise UserError(
                "torchrun is for training, and no method here trains; start it without, and evaluate on many GPUs "
                "with --engine vllm or a served endpoint."
            )
        for task in tasks:
            for method in methods:
                self.trained(method, task)

    def run_one(self, method: Method, task: Task) -> tuple[dict[str, Any], list[Episode]]:
        """Plays what one run still lacks: run.json's content and all of its episodes."""
        s = self.settings
        loaded = self._loaded(task)
        training = self.trained(method, task) if trains(method) else None
        identity = self._identity(method, task, loaded, training)
        run = self.open(s.out / "runs", identity, [problem.id for problem in loaded.problems])
        if s.fresh:
            run.start_anew()
        own = {"method": [method.name], "task": [task.name], "set": s.set if training else []}
        write_settings(run.folder / "run.yaml", s.model_copy(update={**own, "samples": run.identity["samples"]}))
        there = graded_rows(run, loaded.problems, s.samples)
        self._tell_reused(run, len(there), len(loaded.problems) * s.samples)
        if len(there) == len(loaded.problems) * s.samples:
            return run.meta(), list(there.values())
        spec = replace(self.spec(task), path=str(training.model)) if training else self.spec(task)
        engine = self._engine(spec)
        run.describe(**_tell_template(engine.chat))
        episodes = event_loop.run(
            evaluate(run, method, task, loaded.problems, engine, self.sampling, s.turns, s.samples, s.seed)
        )
        meta = run.meta()
        self._tell_end(meta, episodes)
        return meta, episodes

    def complete(self, method: Method, task: Task, find: Callable[[Path, Any], Run] = run_of) -> Run | None:
        """The stored run that run_one would return, if it is complete; else None. Nothing is trained or played.

        A run with an episode that ended in an error is not complete.
        find: looks up a run in the folder of runs by its identity. For a pool of samples it is find_pool.
        """
        training = self.training(method, task) if trains(method) else None
        if training and not training.complete:
            return None
        loaded = self._loaded(task)
        run = find(self.settings.out / "runs", self._identity(method, task, loaded, training))
        samples = self.settings.samples
        there = graded_rows(run, loaded.problems, samples)
        return run if len(there) == len(loaded.problems) * samples else None

    def _loaded(self, task: Task) -> Loaded:
        """The problems that are asked for, and where they are from."""
        loaded = task.load(self.settings.split, self.source)
        return replace(loaded, problems=loaded.problems[: self.settings.limit])

    @property
    def sampling(self) -> Sampling:
        s = self.settings
        return Sampling(s.temperature, s.top_p, s.top_k, self.max_tokens, tuple(s.stop), s.repetition_penalty)

    @property
    def max_tokens(self) -> int:
        return self.settings.max_tokens or (_MAX_TOKENS if self.settings.model else _MAX_TOKENS_EMBEDDED)

    def spec(self, task: Task) -> ModelSpec:
        """The model before any training: the one named, else the embedded model of the task's world."""
        s = self.settings
        path = s.model or str(embedded.model_path(task.world))
        return ModelSpec(
            path=path,
            label=s.model.rstrip("/").split("/")[-1] if s.model else f"embedded-{task.world}",
            dtype=s.dtype,
            device=s.device,
            batch_size=0 if s.batch_size == "auto" else s.batch_size,
            system_prompt=s.system_prompt,
            options=engine_options(self._engine_name, self._opener, s.model_args),
            engine=self._engine_name,
            template_args=template_args(s.enable_thinking, s.chat_template_args),
            context_length=s.context_length,
        )

    def train(self, before: Callable[[Training], None]) -> Training:
        """The one training asked for, without an evaluation. before: as in `trained`."""
        names = self.settings
        if len(names.method) > 1 or len(names.task) > 1:
            raise UserError("One method is trained on one task at a time; name one of each.")
        task = task_of(names.task[0], names.task_args, names.reading)
        method: Method = registry.find("method", names.method[0])
        if not trains(method):
            raise UserError(f"{method.name} does not train; `scorebench run` evaluates it as it is.")
        self._check_engine([method])
        self._announce()
        return self.trained(method, task, before)

    def trained(
        self, method: Trained, task: Task, before: Callable[[Training], None] = lambda training: None
    ) -> Training:
        """The method's training for this task, done now if it has not been. before: sees it first, and may object."""
        training, do = self._training(method, task)
        before(training)
        if distributed.count() > 1 and self._engine_name != "hf":
            raise UserError(
                f"Under torchrun rollouts are played in process; take --engine hf, not {self._engine_name}."
            )
        if not training.complete:
            self._opened = None  # the training needs its memory
            self._threads()
            do()
        return training

    def training(self, method: Trained, task: Task) -> Training:
        """The method's training for this task, done or not."""
        return self._training(method, task)[0]

    def _training(self, method: Trained, task: Task) -> tuple[Training, Callable[[], None]]:
        """The method's training for this task, done or not, and what does it."""
        s = self.settings
        school = task if task.trained_on == task.name else task_of(task.trained_on, reading=s.reading)
        config = method.preset(task, embedded=s.model is None)
        if s.model is None:
            config = at_chosen_rates(config, school.name, method.name)
        tuning, assignments = tuning_from(s.set)
        config = changed(config, assignments)
        loaded = school.load("train", self.source)
        root, problems, spec = s.out / "checkpoints", loaded.problems, self.spec(task)
        training = training_of(root, method, config, school, loaded.data, spec, s.seed, tuning, problems)

        def do() -> None:
            tell(f"Training {method.name} on {len(problems)} {school.name} problems, in {training.folder}")
            validation = school.load("validation", self.source).problems if tuning.evaluate_every else ()
            train(training, method, config, school, problems, spec, s.seed, tuning, validation, s.report_to)

        return training, do

    def _identity(self, method: Method, task: Task, loaded: Loaded, training: Training | None) -> Mapping[str, Any]:
        model = model_identity(self.spec(task), self._opener)
        return run_identity(self.settings, method, task, loaded, model, self._engine_name, self.sampling, training)

    @cached_property
    def _engine_name(self) -> str:
        if self.settings.engine != "auto":
            return self.settings.engine
        alone = distributed.count() == 1  # processes of torchrun play their own rollouts
        return "vllm" if alone and "vllm" in registry.names("engine") and _vllm_and_gpu() else "hf"

    @cached_property
    def _opener(self) -> Opener:
        return registry.find("engine", self._engine_name)

    def _check_engine(self, methods: Sequence[Method]) -> None:
        if not is_remote(self._opener):
            return
        if self.settings.model is None:
            raise UserError(f"The {self._engine_name} engine has no model of its own; name one with --model.")
        trained = [method.name for method in methods if trains(method)]
        if trained:
            raise UserError(
                f"{', '.join(trained)} cannot train the model of the {self._engine_name} engine, whose weights are not "
                "here; take base or self-refine, or another engine."
            )

    def _engine(self, spec: ModelSpec) -> Engine:
        if self._opened is None or self._opened[0] != spec:
            self._opened = None  # let go of the old model before the new one is loaded
            self._threads()
            if self.settings.model and not is_remote(self._opener):
                tell(f"Opening {spec.path} ...")
            self._opened = (spec, self._opener(spec))
        return self._opened[1]

    def _threads(self) -> None:
        """The embedded model is so small that a second thread slows it down."""
        if self.settings.model is None:
            import torch

            torch.set_num_threads(1)

    def _announce(self) -> None:
        """The first line, which comes before anything that takes seconds."""
        if self.settings.model is None:
            problems = "embedded problems" if self.source.kind == "embedded" else "problems from --data"
            tell(
                f"This is the embedded model on {problems}: it shows how the methods work, and is no evidence about "
                "language models. Name a real model with --model."
            )
        elif not is_remote(self._opener):
            tell(f"The model: {self.settings.model} (engine {self._engine_name}).")

    def _tell_reused(self, run: Run, there: int, wanted: int) -> None:
        """How many dialogues need not be played, because they are stored."""
        if there == wanted:
            tell(f"{there} of {wanted} dialogues already there, in {run.folder}; --fresh plays them again.")
        elif there:
            tell(f"{there} of {wanted} dialogues already there, in {run.folder}; the others are played now.")

    def _tell_end(self, meta: Mapping[str, Any], episodes: Sequence[Episode]) -> None:
        """What the run cost, and what it still lacks."""
        if meta["account"]:
            tell(_priced(meta["account"]))
        failed = [episode for episode in episodes if has_error(episode)]
        if failed:
            self.owed += len(failed)
            detail = next(a.verdict.detail for a in failed[-1].attempts if a.verdict.outcome == "error")
            tell(
                f"{len(failed)} of {len(episodes)} dialogues ended in an error and count for nothing; the same command "
                f"plays them again. The last error: {detail}"
            )


def _tell_template(chat: Chat | None) -> dict[str, str]:
    """Says what is unusual about the model's chat template, and gives it for run.json."""
    if chat is None:
        return {}
    if not chat.has_template:
        note = "The tokenizer has no chat template: dialogues are plain paragraphs, as for a base model."
    elif chat.rewrites_history:
        note = "The chat template changes earlier answers, such as thoughts; dialogues here keep what is sampled."
    else:
        return {}
    tell(note)
    return {"chat_template_note": note}


def _priced(account: Mapping[str, float]) -> str:
    price = f", {account['dollars']:,.4f} dollars" if account["dollars"] else ""
    return (
        f"{account['requests']:,.0f} requests; {account['prompt_tokens']:,.0f} prompt tokens, "
        f"{account['cached_tokens']:,.0f} of them cached, and {account['completion_tokens']:,.0f} of completion{price}."
    )


def refuse_unused_set(settings: Settings, methods: Sequence[Method]) -> None:
    """UserError where --set was given and no method trains."""
    if settings.set and not any(trains(method) for method in methods):
        raise UserError(f"--set changes how a method trains, but {', '.join(settings.method)} does not train.")


def _vllm_and_gpu() -> bool:
    from importlib.util import find_spec

    if find_spec("vllm") is None:  # asked first: to import torch takes more than a second
        return False
    import torch

    return torch.cuda.is_available()
