"""The page of `scorebench reproduce`: what was measured, beside the paper, and which of its claims came out.

Every figure of the page is computed from rows; page.md.jinja has its words. Beside it lie the same figures as
CSV (leaderboard, claims, scaling) and the plots.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from scorebench.report import plots
from scorebench.report.baseline import heading
from scorebench.report.compare import compare, leaderboard_csv
from scorebench.report.render import as_markdown, percent
from scorebench.report.rows import to_csv
from scorebench.report.scaling_curves import Curve, table_of, write_csv
from scorebench.report.summary import RunSummary, pool_seeds
from scorebench.reproduction import paper
from scorebench.reproduction.claims import COPIES, MARGIN, NAMES, Claim, Evidence, claim_rows, judge
from scorebench.statistics.metrics import spread
from scorebench.storage.files import replacing

TRIALS = "trials.csv"


@dataclass(frozen=True)
class TaskResult:
    """What there is of one task.

    runs: a summary a run, in the order of the methods. curves: the scaling curves, a method each. training: a folder
    with the log of a training of SCoRe, if there is one. missing: the jobs without a result, in words.
    """

    task: str
    runs: Sequence[RunSummary]
    curves: Sequence[Curve] = ()
    training: Path | None = None
    missing: Sequence[str] = field(default=())

    @cached_property
    def rows(self) -> list[RunSummary]:
        """A row a method, its seeds pooled."""
        return pool_seeds(self.runs)

    @cached_property
    def claims(self) -> list[Claim]:
        rows = {row.identity.method: row for row in self.rows}
        return judge(Evidence(self.task, rows, {curve.identity.method: curve.scaling for curve in self.curves}))

    @property
    def heading(self) -> str:
        identity = self.runs[0].identity
        return heading((identity.task, identity.data, identity.model))

    @property
    def plots(self) -> list[str]:
        """The names of the plots, without the ending."""
        names = ["accuracy", "flips", "edits"]
        names += ["scaling"] if self.curves else []
        names += ["training"] if self.training else []
        return [f"{self.task}-{name}" for name in names]

    def beside_the_paper(self) -> list[list[str]]:
        """Method, seeds, and for each of the five metrics ours (with the spread over seeds) and the paper's."""
        published = paper.figures(self.task)
        lines = []
        for row in self.rows:
            cells = [row.identity.method, str(len(row.seeds) or 1)]
            for name, estimate in row.five().items():
                signed = name == "delta"
                own = percent(estimate.value, signed)
                if row.seeds:
                    own += f" ± {percent(spread([seed.five()[name].value for seed in row.seeds]))}"
                theirs = published.get(row.identity.method, {})
                cells += [own, percent(theirs[name], signed) if name in theirs else ""]
            lines.append(cells)
        return lines


def write_page(to: Path, results: Sequence[TaskResult], command: str, limit: int | None) -> Path:
    """Writes the page, its tables and its plots into a folder, and returns the page.

    results: tasks that have at least one run. command: what makes it again. limit: how many problems of a task were
    looked at, where it was a trial; None for all. Trials of settings that lie in the folder are told on the page.
    """
    runs = [run for result in results for run in result.runs]
    _write(to / "leaderboard.csv", leaderboard_csv(runs))
    _write(to / "claims.csv", to_csv([row for result in results for row in claim_rows(result.task, result.claims)]))
    write_csv(to / "scaling.csv", [curve for result in results for curve in result.curves])
    for result in results:
        _draw(to / "plots", result)
    page = to / "README.md"
    _write(page, page_text(results, command, limit, read_trials(to / TRIALS)))
    return page


def page_text(results: Sequence[TaskResult], command: str, limit: int | None, trials: Sequence[dict[str, str]]) -> str:
    """The page as Markdown."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    words: dict[str, Any] = {
        "results": results,
        "command": command,
        "limit": limit,
        "trials": trials,
        "names": list(NAMES.values()),
        "margin": percent(MARGIN),
        "copies": percent(COPIES),
        "paper_model": paper.model,
        "benchmark": paper.BENCHMARKS.get,
        "percent": percent,
        "tables": lambda result: _below(compare(result.runs, "md", "base" if _has_base(result) else None, tags=())),
        "scaling": lambda result: _below(as_markdown([table_of("Scaling", result.curves)])),
    }
    jinja = Environment(
        loader=PackageLoader("scorebench.reproduction", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return jinja.get_template("page.md.jinja").render(words)


def read_trials(path: Path) -> list[dict[str, str]]:
    """The rows of trials.csv; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _has_base(result: TaskResult) -> bool:
    return any(row.identity.method == "base" for row in result.rows)


def _below(markdown: str) -> str:
    """With the headings of tables one level lower: they stand beneath a task's."""
    return markdown.replace("### ", "#### ").strip()


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def _draw(folder: Path, result: TaskResult) -> None:
    figures = {
        "accuracy": lambda: plots.accuracy_by_turn(result.rows),
        "flips": lambda: plots.flips(result.rows),
        "edits": lambda: plots.edit_histograms(result.rows),
        "scaling": lambda: plots.scaling_curves(
            {curve.identity.method: curve.scaling for curve in result.curves},
            f"Majority vote over samples, and over corrected samples\n{result.heading}",
        ),
        "training": lambda: _training_figure(result),
    }
    for name in result.plots:
        plots.save(figures[name.removeprefix(f"{result.task}-")](), folder / f"{name}.png")


def _training_figure(result: TaskResult) -> Any:
    assert result.training is not None
    return plots.training_curves(plots.read_stages(result.training), f"SCoRe's training\n{result.training.name}")
