"""From runs to scaling curves: `scorebench scaling`, without the command line.

A pool of dialogues is a run of many samples at a temperature. Made for this purpose it lies in OUT/pools, so that
tables of results do not show it; any stored run that holds enough samples serves as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorebench import registry
from scorebench.contracts import Task
from scorebench.errors import UserError
from scorebench.files import replacing
from scorebench.progress import progress
from scorebench.regrade import find_run, problems_of
from scorebench.report.baseline import Group, heading
from scorebench.report.render import Cell, Table, percent
from scorebench.report.rows import scaling_rows, to_csv
from scorebench.report.summary import Identity, identify
from scorebench.runner import graders
from scorebench.scaling import Point, Scaling, check_budgets, pools, scale
from scorebench.session import Session
from scorebench.settings import Settings
from scorebench.statistics import Estimate
from scorebench.store import Run, open_pool
from scorebench.types import Episode, Problem

TEMPERATURE = 0.7  # the paper's, for sampling at inference time


@dataclass(frozen=True)
class Curve:
    """The curves of one run, and what it was.

    unpaid: whether the method says more than its attempts, such as feedback, whose tokens no attempt holds.
    """

    identity: Identity
    scaling: Scaling
    unpaid: bool

    @property
    def group(self) -> Group:
        return self.identity.task, self.identity.data, self.identity.model


def budgets_of(text: str) -> list[int]:
    """The budgets of --budgets, in order; UserError where one is no even number from 2."""
    try:
        budgets = sorted({int(word) for word in text.split(",") if word.strip()})
    except ValueError:
        raise UserError(f"--budgets {text!r} are not numbers; write them as in --budgets 2,4,8.") from None
    check_budgets(budgets)
    return budgets


def sampled_curves(settings: Settings, budgets: Sequence[int]) -> list[Curve]:
    """The curves of every method on every task, sampled now or taken up from where an earlier command left them."""
    given = settings.model_fields_set
    temperature = settings.temperature if "temperature" in given else TEMPERATURE
    samples = settings.samples if "samples" in given else max(budgets)
    if temperature == 0:
        raise UserError("At --temperature 0 all samples of a problem are the same; leave the flag out for 0.7.")
    if samples < max(budgets):
        raise UserError(
            f"The budget {max(budgets)} needs as many dialogues a problem, and --samples is {samples}; leave --samples "
            "out, or give smaller --budgets."
        )
    if settings.turns < 2:
        raise UserError("Scaling compares attempts with corrections, and needs --turns of at least 2.")
    settings = settings.model_copy(update={"temperature": temperature, "samples": samples})
    session = Session(settings, open=open_pool)
    for name in settings.task:
        _check_given(name, registry.find("task", name).load(settings.split, session.source).problems)
    runs = session.run()
    if session.owed:
        raise UserError(
            f"{session.owed} dialogues ended in an error, and curves of the others would be of unequal pools; "
            "the same command plays them again."
        )
    return [_curve(_pool_run(settings.out, meta["run"]), meta, episodes, budgets) for meta, episodes in runs]


def _pool_run(out: Path, name: str) -> Run:
    """A run that was just opened, as a pool or as a run."""
    pool = out / "pools" / name
    return find_run(out, str(pool) if pool.is_dir() else name)


def stored_curves(out: Path, names: Iterable[str], budgets: Sequence[int], data: Path | None) -> list[Curve]:
    """The curves of stored runs; no model takes part.

    data: the folder of the benchmark's files, if it is no longer where the runs found it.
    """
    runs = [_pool_run(out, name) for name in names]
    for run in runs:
        if run.identity["samples"] < max(budgets) or run.identity["sampling"]["temperature"] == 0:
            raise UserError(
                f"The budget {max(budgets)} needs as many sampled dialogues a problem, and {run.name} has "
                f"{run.identity['samples']} at temperature {run.identity['sampling']['temperature']:g}; give smaller "
                "--budgets, or --method and --task in place of --run to sample them."
            )
    return [_curve(run, run.meta(), list(run.rows().values()), budgets, data) for run in runs]


def _curve(
    run: Run, meta: dict[str, Any], episodes: Sequence[Episode], budgets: Sequence[int], data: Path | None = None
) -> Curve:
    task: Task = registry.find("task", run.identity["task"]["name"])
    problems = problems_of(run, task, data)
    _check_given(task.name, problems.values())
    absent = problems.keys() - {episode.problem_id for episode in episodes}
    if absent:
        raise UserError(
            f"{run.name} has no dialogue on {len(absent)} of its {len(problems)} problems; finish it with the command "
            "that it is of."
        )
    order = {problem_id: number for number, problem_id in enumerate(problems)}
    episodes = sorted(episodes, key=lambda e: (order[e.problem_id], e.sample))  # the draws depend on the order
    identity = identify(meta, run.name)
    keys = vote_keys(task, problems, episodes)
    problem_pools = pools(episodes, lambda problem_id, text: keys[problem_id, text])
    with progress(f"resample {identity.method}", len(problem_pools)) as tell:
        curve = scale(problem_pools, budgets, tell=tell)
    unpaid = any(
        sum(message["role"] == "assistant" for message in episode.transcript) > len(episode.attempts)
        for episode in episodes
    )
    return Curve(identity, curve, unpaid)


def _check_given(name: str, problems: Iterable[Problem]) -> None:
    if any(problem.given is not None for problem in problems):
        raise UserError(
            f"The first attempts of {name} are given, so there is nothing to sample in parallel; take another task."
        )


def vote_keys(
    task: Task, problems: dict[str, Problem], episodes: Iterable[Episode]
) -> dict[tuple[str, str], str | None]:
    """The key of every different reply to a problem, by problem and text; each is asked for once."""
    said = dict.fromkeys((e.problem_id, attempt.reply.text) for e in episodes for attempt in e.attempts[:2])
    with graders() as threads, progress(f"vote keys of {task.name}", len(said)) as tell:
        asked = {threads.submit(task.vote_key, problems[problem], text): (problem, text) for problem, text in said}
        keys = {}
        for done, future in enumerate(as_completed(asked), start=1):
            keys[asked[future]] = future.result()
            tell(done)
    return keys


def labels(curves: Sequence[Curve]) -> list[str]:
    """The method of each curve; the run where a method has several."""
    methods = [curve.identity.method for curve in curves]
    return [
        curve.identity.run if methods.count(curve.identity.method) > 1 else curve.identity.method for curve in curves
    ]


def table_of(title: str, curves: Sequence[Curve]) -> Table:
    """Both ways beside each other: accuracy, its interval and its cost at every budget, and the paired difference."""
    rows: list[tuple[Cell, ...]] = []
    for curve, label in zip(curves, labels(curves), strict=True):
        points = {(point.way, point.budget): point for point in curve.scaling.points}
        for budget, difference in curve.scaling.differences.items():
            parallel, sequential = points["parallel", budget], points["sequential", budget]
            cells = (*_spent(parallel), *_spent(sequential), _estimate(difference, signed=True))
            rows.append(((f"{label} *" if curve.unpaid else label,), (str(budget),), *cells))
    header = (("method",), ("budget",), ("parallel",), ("tokens",), ("sequential",), ("tokens",), ("difference",))
    notes = [
        "Majority vote, percent of all problems, with 95 % intervals over problems. A budget of 2K attempts a problem: "
        "parallel takes 2K first attempts, sequential K first attempts and a correction of each. tokens: sampled, mean "
        "a problem. difference: sequential minus parallel, paired by problem."
    ]
    if any(curve.unpaid for curve in curves):
        notes.append("* says more than its attempts, such as feedback; the tokens of that are not counted.")
    return Table(title, header, tuple(rows), tuple(notes))


def _spent(point: Point) -> tuple[Cell, Cell]:
    return _estimate(point.accuracy), (f"{point.tokens:,.0f}",)


def _estimate(estimate: Estimate, signed: bool = False) -> Cell:
    low, high = percent(estimate.low, signed), percent(estimate.high, signed)
    return percent(estimate.value, signed), f"{low}, {high}"


def write_csv(path: Path, curves: Iterable[Curve]) -> None:
    """A row a run, way and budget, in fractions of 1."""
    rows = [row for curve in curves for row in scaling_rows(curve.identity, curve.scaling)]
    with replacing(path) as part:
        part.write_text(to_csv(rows), encoding="utf-8")


def write_plots(path: Path, groups: Mapping[Group, Sequence[Curve]]) -> list[Path]:
    """A plot for each task, data and model, as PNG and SVG; their names tell several from each other."""
    from scorebench.report import plots

    written = []
    for group, curves in groups.items():
        figure = plots.scaling_curves(
            {label: curve.scaling for label, curve in zip(labels(curves), curves, strict=True)},
            f"Majority vote over samples, and over corrected samples\n{heading(group)}",
        )
        file = path if len(groups) == 1 else path.with_name(f"{path.stem}-{plots.file_word(group)}{path.suffix}")
        written += plots.save(figure, file)
    return written
