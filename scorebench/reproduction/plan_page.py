"""The page of a plan: what was measured, on which machine, what the trainings did, and the command behind each row.

Every figure is computed from rows and logs; plan_page.md.jinja has the words around them. Beside the page lie all
tables (tables.md), leaderboard.csv and the curves of the trainings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from scorebench.api.percent import percent
from scorebench.api.types import Episode, Message
from scorebench.report import gallery, plots
from scorebench.report.compare import compare, leaderboard_csv
from scorebench.report.rows import figures
from scorebench.report.summary import RunSummary, summarize
from scorebench.reproduction.jobs import Job
from scorebench.reproduction.plan_file import Plan, Section
from scorebench.reproduction.templates import rendered
from scorebench.storage.files import write_text
from scorebench.storage.runs import Run, read_json
from scorebench.training.trainer import RECORD

TABLES = "tables.md"
TOLD_STEPS = 10  # of a stage's log, the means over so many steps at its beginning and at its end


@dataclass(frozen=True)
class Done:
    """A run that is complete: its job, what a user types for it, run.json's content and its figures.

    firsts: of each dialogue, by problem and sample, the messages before the first attempt, and that attempt.
    """

    job: Job
    command: str
    meta: Mapping[str, Any]
    summary: RunSummary
    firsts: Mapping[tuple[str, int], tuple[Sequence[Message], str]]

    @property
    def name(self) -> str:
        return f"{self.job.method} on {self.job.task}"

    @property
    def minutes(self) -> str:
        return minutes(self.summary.identity.seconds)

    @property
    def training(self) -> Path | None:
        """The folder of its training, if it has one."""
        name = self.summary.identity.training
        return self.job.settings.out / "checkpoints" / name if name else None

    @property
    def steps(self) -> str:
        return str(self.summary.identity.trained_with.get("gradient_steps", ""))

    @property
    def training_minutes(self) -> str:
        return minutes(self.summary.identity.trained_with.get("seconds"))


@dataclass(frozen=True)
class SectionResult:
    """What there is of a section. warmups: its trainings, done or not. missing: jobs without a result, in words."""

    section: Section
    warmups: Sequence[Job]
    runs: Sequence[Done]
    missing: Sequence[str]

    @property
    def summaries(self) -> list[RunSummary]:
        return [run.summary for run in self.runs]

    def tables(self) -> str:
        """All tables of the runs, with the headings of tables one level below a section's."""
        return compare(self.summaries, "md", tags=()).strip() if self.runs else ""

    def rows(self) -> Iterator[list[str]]:
        """Of each run: task, method, problems, the five metrics, stated answers, and attempts that were cut off."""
        for run in self.runs:
            cells = _figure_cells(figures(run.summary, self.summaries))
            yield [run.job.task, run.job.method, str(run.summary.n), *cells]

    def same_firsts(self) -> list[str]:
        """Of each greedy run: how many first attempts have the text of the first run that asked the same, in words.

        Runs in which all of them have it are left out. Greedy decoding of one model on one question has one answer, but
        for rounding: see docs/engines.md.
        """
        told: list[str] = []
        greedy = [run for run in self.runs if run.summary.identity.greedy]
        for at, run in enumerate(greedy):
            for other in greedy[:at]:
                asked, same = _same_firsts(run, other)
                if asked:
                    told += [f"{run.name} {same} of {asked} ({other.job.method})"] if same < asked else []
                    break
        return told

    def warmup_rows(self) -> Iterator[list[str]]:
        """Of each warm-up: its folder, steps, examples, sampled replies, minutes, and the command."""
        for job in self.warmups:
            record = _record(job.checkpoint)
            if job.checkpoint is not None and record:
                spent = record.get("spent", {})
                figures = [str(spent.get(name, "")) for name in ("gradient_steps", "examples", "replies")]
                yield [str(job.checkpoint), *figures, minutes(spent.get("seconds"))]

    def logs(self) -> Iterator[list[str]]:
        """Of each stage of each training by reinforcement learning: means at its beginning and at its end."""
        for run in self.runs:
            for stage, rows in (plots.read_stages(run.training) if run.training else {}).items():
                if all("correct" in row for row in rows):
                    for which, some in (("first", rows[:TOLD_STEPS]), ("last", rows[-TOLD_STEPS:])):
                        told = f"{which} {len(some)} of {len(rows)}"
                        yield [run.job.method, stage, told, *_log_cells(some)]


def section_result(section: Section, warmups: Sequence[Job], jobs: Sequence[tuple[Job, str]]) -> SectionResult:
    """What the section's jobs have left on disk. jobs: none where a training is missing that they begin from."""
    missing = [str(job) for job in warmups if not job.is_done()]
    found = [(job, command, job.finished()) for job, command in jobs]
    missing += [str(job) for job, _, run in found if run is None]
    done = [_done(job, command, run) for job, command, run in found if run is not None]
    return SectionResult(section, warmups, done, missing)


def _done(job: Job, command: str, run: Run) -> Done:
    meta = run.meta()
    episodes = list(run.rows().values())
    summary = summarize(meta, episodes, run.name)
    plain = replace(summary.identity, changed=())  # a recipe says them; as a row's name they would fill the table
    return Done(job, command, meta, replace(summary, identity=plain), dict(map(_first, episodes)))


def _first(episode: Episode) -> tuple[tuple[str, int], tuple[Sequence[Message], str]]:
    asked = tuple(takewhile(lambda message: message["role"] != "assistant", episode.transcript))
    return (episode.problem_id, episode.sample), (asked, episode.attempts[0].reply.text)


def _same_firsts(run: Done, other: Done) -> tuple[int, int]:
    """In how many dialogues the same model was asked the same, and how many first attempts are the same."""
    ours, theirs = ((done.job.task, done.meta["model"].get("digest"), done.training) for done in (run, other))
    if ours != theirs:
        return 0, 0
    pairs = [(first, other.firsts[at]) for at, first in run.firsts.items() if at in other.firsts]
    equal = [text == other_text for (asked, text), (other_asked, other_text) in pairs if asked == other_asked]
    return len(equal), sum(equal)


def write_plan_page(to: Path, plan: Plan, results: Sequence[SectionResult], command: str) -> Path:
    """Writes the page, its tables and the plots into a folder, and returns the page. command: what repeats it."""
    runs = [run for result in results for run in result.runs]
    write_text(to / "leaderboard.csv", leaderboard_csv([run.summary for run in runs]))
    drawn = {run.name: _drawn(run, to / "plots") for run in runs if run.training}
    write_text(to / TABLES, rendered("plan_tables", plan=plan, results=results, command=command))
    page = to / "README.md"
    write_text(page, plan_page_text(plan, results, command, drawn))
    return page


def plan_page_text(plan: Plan, results: Sequence[SectionResult], command: str, drawn: Mapping[str, str]) -> str:
    """The page as Markdown. drawn: the file of each training's plot, by the name of its run."""
    words = {"plan": plan, "results": results, "command": command, "drawn": drawn, "tables": TABLES}
    return rendered("plan_page", **words, made_with=made_with(results))


def made_with(results: Sequence[SectionResult]) -> list[str]:
    """Machines, models and packages of all runs, each once."""
    metas = [run.meta for result in results for run in result.runs]
    lines: dict[str, None] = {}
    for meta in metas:
        gpus = f"; GPU: {', '.join(meta['gpu'])}" if meta.get("gpu") else ""
        lines[f"machine: {meta.get('cpu', '')}, {meta.get('machine', '')}{gpus}"] = None
    for meta in metas:
        model = meta["model"]
        lines[f"model: {model['name']}, played in {model.get('dtype')}, digest {model.get('digest')}"] = None
    for meta in metas:
        packages = meta.get("packages") or {}
        told = (f"{name} {packages[name]}" for name in ("scorebench", "torch", "transformers") if name in packages)
        lines["packages: " + ", ".join(told)] = None
    return list(lines)


def minutes(seconds: float | None) -> str:
    """A time in minutes, empty where it is not known."""
    if seconds is None:
        return ""
    return f"{seconds / 60:.0f}" if seconds >= 600 else f"{seconds / 60:.1f}"


def _figure_cells(numbers: Mapping[str, Any]) -> list[str]:
    """The five metrics, the shares of attempts that state their answer, and how many attempts were cut off."""

    def with_interval(name: str) -> str:
        value, low, high = (percent(numbers[f"{name}{end}"], signed=name == "delta") for end in ("", "_low", "_high"))
        return f"{value} ({low}, {high})"

    shares = [percent(numbers[name]) for name in ("i_to_c", "c_to_i", "stated_t1", "stated_t2")]
    return [*map(with_interval, ("acc_t1", "acc_t2", "delta")), *shares, str(numbers["truncated"])]


def _log_cells(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Means over steps: accuracy, flips and unchanged texts in percent; KL, entropy and tokens of the last attempt."""

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    def by_turn(name: str, turn: int) -> float:
        return mean([row[name][turn] for row in rows])

    shares = [by_turn("correct", 0), by_turn("correct", -1), *(mean([row[n] for row in rows]) for n in _FLIPS)]
    kl = [f"{by_turn('kl', turn):.2f}" for turn in (0, -1)]
    entropy = [f"{by_turn('entropy', turn):.3f}" for turn in (0, -1)]
    return [*map(percent, shares), *kl, *entropy, f"{by_turn('tokens', -1):.0f}"]


_FLIPS = ("i_to_c", "c_to_i", "unchanged")


def _record(folder: Path | None) -> dict[str, Any]:
    path = folder / RECORD if folder else None
    return read_json(path) if path and path.is_file() else {}


def _drawn(run: Done, folder: Path) -> str:
    """Draws the curves of a run's training into a file, and gives its name."""
    assert run.training is not None
    (picture,) = (p for p in gallery.of_trainings(run.training.parent).pictures if run.training.name in p.name)
    name = f"{run.job.task}-{run.job.method}-training.png".replace("+", "-plus")
    plots.save(picture.draw(), folder / name)
    return f"{folder.name}/{name}"
