"""Scaling curves of one or several runs, as a table, a CSV file and plots: `scorebench scaling`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scorebench.api.percent import percent
from scorebench.api.progress import progress
from scorebench.evaluation.sample_pools import Samples, pools_of
from scorebench.report.baseline import Group, heading
from scorebench.report.render import BENEATH, Cell, Table
from scorebench.report.rows import scaling_rows, to_csv
from scorebench.report.summary import Identity, identify
from scorebench.statistics.intervals import Estimate
from scorebench.statistics.majority_vote import Point, Scaling, scale
from scorebench.storage.files import write_text


@dataclass(frozen=True)
class Curve:
    """The curves of one run, and what it was."""

    identity: Identity
    scaling: Scaling

    @property
    def group(self) -> Group:
        return self.identity.task, self.identity.data, self.identity.model


def curve_of(samples: Samples, budgets: Sequence[int], data: Path | None = None) -> Curve:
    """The curves of one run. data: where the benchmark's files lie now, if they have moved since the run."""
    identity = identify(samples.meta, samples.run.name)
    pools = pools_of(samples, data)
    with progress(f"resample {identity.method}", len(pools)) as tell:
        curve = scale(pools, budgets, tell=tell)
    return Curve(identity, curve)


def labels(curves: Sequence[Curve]) -> list[str]:
    """The method of each curve, or the name of its run where a method has several curves."""
    methods = [curve.identity.method for curve in curves]
    return [
        curve.identity.run if methods.count(curve.identity.method) > 1 else curve.identity.method for curve in curves
    ]


def table_of(title: str, curves: Sequence[Curve]) -> Table:
    """Accuracy, its interval and its cost in tokens for both ways at every budget, and their paired difference."""
    rows: list[tuple[Cell, ...]] = []
    for curve, label in zip(curves, labels(curves), strict=True):
        points = {(point.way, point.budget): point for point in curve.scaling.points}
        for budget, difference in curve.scaling.differences.items():
            parallel, sequential = points["parallel", budget], points["sequential", budget]
            cells = (*_spent(parallel), *_spent(sequential), _estimate(difference, signed=True))
            rows.append(((label,), (str(budget),), *cells))
    header = (("method",), ("budget",), ("parallel",), ("tokens",), ("sequential",), ("tokens",), ("difference",))
    note = (
        f"Majority vote, percent of all problems, and {BENEATH} 95 % intervals over problems. With a budget of 2K "
        "attempts a problem, parallel takes 2K first attempts, and sequential takes K first attempts and a correction "
        "of each. tokens: sampled tokens a problem, a mean, reviews between the attempts included. difference: "
        "sequential minus parallel, on the same problems."
    )
    return Table(title, header, tuple(rows), (note,))


def _spent(point: Point) -> tuple[Cell, Cell]:
    return _estimate(point.accuracy), (f"{point.tokens:,.0f}",)


def _estimate(estimate: Estimate, signed: bool = False) -> Cell:
    low, high = percent(estimate.low, signed), percent(estimate.high, signed)
    return percent(estimate.value, signed), f"{low}, {high}"


def write_csv(path: Path, curves: Iterable[Curve]) -> None:
    """A row a run, way and budget, in fractions of 1."""
    rows = [row for curve in curves for row in scaling_rows(curve.identity, curve.scaling)]
    write_text(path, to_csv(rows), "--csv")


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
