"""The pages of `scorebench reproduce`: what was measured, beside the paper, and which of its claims came out.

README.md has the verdict on every claim for every task, and a page for each task has its tables and plots. Every
figure is computed from rows; index.md.jinja and task.md.jinja have the words. Beside the pages lie the same figures as
CSV (leaderboard, claims, scaling). What stands there about tasks that were not asked for is kept.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from scorebench.api.percent import percent
from scorebench.report import plots
from scorebench.report.baseline import heading
from scorebench.report.compare import compare
from scorebench.report.render import as_markdown
from scorebench.report.rows import Row, leaderboard, scaling_rows, to_csv, with_same_columns
from scorebench.report.scaling_curves import Curve, table_of
from scorebench.report.summary import RunSummary, pool_seeds
from scorebench.reproduction import ABLATIONS, METHODS, SEEDS, paper
from scorebench.reproduction.claims import COPIES, MARGIN, NAMES, STATEMENTS, Claim, Evidence, claim_rows, judge
from scorebench.reproduction.templates import rendered
from scorebench.statistics.metrics import spread
from scorebench.storage.files import write_text

CLAIMS, LEADERBOARD, TRIALS = "claims.csv", "leaderboard.csv", "trials.csv"
Cells = dict[str, str]  # a row as it is read from a CSV file
BEST = 7  # methods that telling_apart looks at


@dataclass(frozen=True)
class TaskResult:
    """What there is of one task.

    runs: a summary a run, in the order of the methods. curves: the scaling curves, a method each. training: a folder
    with the log of a training of SCoRe, if there is one. missing: the jobs without a result, in words. variants: a
    summary for each run of a training with one setting changed.
    """

    task: str
    runs: Sequence[RunSummary]
    curves: Sequence[Curve] = ()
    training: Path | None = None
    missing: Sequence[str] = field(default=())
    variants: Sequence[RunSummary] = ()

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

    def telling_apart(self) -> str:
        """How far the best methods lie apart beside what another seed changes; empty with fewer than two such rows."""
        seeded = [row for row in self.rows if row.seeds]
        best = sorted(seeded, key=lambda row: -row.five()["acc_t2"].value)[:BEST]
        if len(best) < 2:
            return ""
        deviations = {r.identity.method: spread([seed.five()["acc_t2"].value for seed in r.seeds]) for r in best}
        by_seed = math.sqrt(sum(deviation**2 for deviation in deviations.values()) / len(best))
        apart = best[0].five()["acc_t2"].value - best[-1].five()["acc_t2"].value
        ratio = f"{apart / by_seed:.1f}" if by_seed else "infinitely many"
        return (
            f"The {len(best)} best methods of several seeds lie {percent(apart)} points of Acc@t2 apart. "
            f"That is {ratio} times the standard deviation over the seeds of one method: "
            f"{percent(by_seed)} points, the root mean square over these methods.{_least_steady(deviations)}"
        )

    def first_attempts(self) -> str:
        """Where SCoRe's first attempts stand among the trained methods; empty without SCoRe."""
        trained = {row.identity.method: row.five()["acc_t1"].value for row in self.rows if row.identity.training}
        if "score" not in trained:
            return ""
        best = max(trained, key=lambda name: trained[name])
        behind = trained[best] - trained["score"]
        why = "" if best == "score" else " SCoRe rewards first attempts in Stage II alone, in half of its steps."
        return f"SCoRe's Acc@t1 is {percent(behind)} points below that of the best trained method there ({best}).{why}"

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
    """Writes the pages, their tables and their plots into a folder, and returns the first page, README.md.

    results: tasks that have at least one run. command: what makes them again. limit: how many problems of a task were
    looked at, where it was a trial; None for all. Trials of settings that lie in the folder are told on the first page.
    """
    runs = [run for result in results for run in [*result.runs, *result.variants]]
    tasks = {result.task for result in results}
    claims = [row for result in results for row in claim_rows(result.task, result.claims)]
    curves = [row for result in results for c in result.curves for row in scaling_rows(c.identity, c.scaling)]
    for name, rows in {CLAIMS: claims, LEADERBOARD: leaderboard(runs), "scaling.csv": curves}.items():
        others: list[Row] = [{**row} for row in read_csv(to / name) if row["task"] not in tasks]
        write_text(to / name, to_csv(with_same_columns(sorted([*rows, *others], key=_place))))
    for result in results:
        _draw(to / "plots", result)
        write_text(to / f"{result.task}.md", task_page(result, command, limit))
    page = to / "README.md"
    write_text(page, index_page(read_csv(to / LEADERBOARD), read_csv(to / CLAIMS), read_csv(to / TRIALS)))
    return page


def index_page(runs: Sequence[Cells], claims: Sequence[Cells], trials: Sequence[Cells]) -> str:
    """The first page as Markdown, from the rows of leaderboard.csv, claims.csv and trials.csv."""
    tables = {task: short_table(runs, task) for task in dict.fromkeys(row["task"] for row in runs)}
    outcomes = {(row["task"], int(row["claim"])): row["outcome"] for row in claims}
    return _rendered("index", tables=tables, outcomes=outcomes, statements=STATEMENTS, trials=trials)


def short_table(runs: Sequence[Cells], task: str) -> str:
    """The five metrics of each method as Markdown, the means of its seeds, from the rows of leaderboard.csv."""
    found: dict[str, list[Cells]] = {}
    for row in runs:
        if row["task"] == task and not row["settings"]:
            found.setdefault(row["method"], []).append(row)
    order = [name for name in (*METHODS, *ABLATIONS, *found) if name in found]
    lines = [f"| method | seeds | {' | '.join(NAMES.values())} |", f"| --- | ---: |{' ---: |' * len(NAMES)}"]
    for method in dict.fromkeys(order):
        own = found[method]
        # The file has six decimals. A mean that lies half way between two figures must not depend on the seventh.
        means = {name: round(sum(float(row[name]) for row in own) / len(own), 5) for name in NAMES}
        cells = [percent(value, signed=name == "delta") for name, value in means.items()]
        lines.append(f"| {' | '.join([method, str(len(own)), *cells])} |")
    return "\n".join(lines)


def task_page(result: TaskResult, command: str, limit: int | None) -> str:
    """The page of a task as Markdown."""
    changed = {run.identity.method for run in result.variants}
    pairs = [*(run for run in result.runs if run.identity.method in changed), *result.variants]
    return _rendered(
        "task",
        result=result,
        command=command,
        limit=limit,
        tables=compare(result.runs, "md", "base" if _has_base(result) else None, tags=()).strip(),
        variants=compare(pairs, "md", tags=()).strip() if result.variants else "",
        scaling=as_markdown([table_of("Scaling", result.curves)]).strip() if result.curves else "",
    )


def _rendered(template: str, **words: Any) -> str:
    shared = {
        "names": list(NAMES.values()),
        "margin": percent(MARGIN),
        "copies": percent(COPIES),
        "paper_model": paper.model,
        "benchmark": paper.BENCHMARKS.get,
        "percent": percent,
    }
    return rendered(template, **shared, **words)


def read_csv(path: Path) -> list[Cells]:
    """The rows of a table beside the pages; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _place(row: Row) -> tuple[int, str]:
    """Rows are in the order of the tasks in SEEDS, others behind."""
    task, known = str(row["task"]), list(SEEDS)
    return (known.index(task), "") if task in known else (len(known), task)


def _has_base(result: TaskResult) -> bool:
    return any(row.identity.method == "base" for row in result.rows)


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


def _least_steady(deviations: dict[str, float]) -> str:
    """The three methods whose seeds differ most; empty where no seed differs or where there are not more than three."""
    worst = sorted(deviations, key=lambda name: -deviations[name])[:3]
    if len(deviations) <= len(worst) or not deviations[worst[0]]:
        return ""
    told = ", ".join(f"{name} ({percent(deviations[name])})" for name in worst)
    share = sum(deviations[name] ** 2 for name in worst) / sum(deviation**2 for deviation in deviations.values())
    return f" {100 * share:.0f} % of this variance comes from three methods: {told}."


def _training_figure(result: TaskResult) -> Any:
    assert result.training is not None
    return plots.training_curves(plots.read_stages(result.training), f"SCoRe's training\n{result.training.name}")
