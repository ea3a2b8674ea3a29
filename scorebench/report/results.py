"""What Python programs and notebooks use: evaluate, train, grade, load_runs, compare, and the results that they give.

`import scorebench` offers all of it (docs/api.md). The flags are those of the command line, and mean the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorebench.api import registry
from scorebench.api.percent import percent
from scorebench.api.protocols import Source
from scorebench.api.types import Episode
from scorebench.report import frames
from scorebench.report.baseline import by_group, heading
from scorebench.report.compare import compare as text_of
from scorebench.report.summary import RunSummary, summarize
from scorebench.statistics.intervals import Estimate
from scorebench.storage import runs as storage

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_HEADINGS = {"acc_t1": "Acc@t1", "acc_t2": "Acc@t2", "delta": "delta", "i_to_c": "i->c", "c_to_i": "c->i"}


class Run(storage.Run):
    """A run on disk: name and folder, what defines it (identity), and its episodes."""

    def episodes(self) -> pd.DataFrame:
        """One row an episode: problem, sample, the problem's tags, then passed_t1, answer_t1, text_t1, passed_t2, ...

        passed is None where an attempt could not be graded. transcript is the whole dialogue, as a list of messages.
        """
        import pandas as pd

        return pd.DataFrame([_episode_cells(episode) for episode in self.rows().values()])

    def attempts(self) -> pd.DataFrame:
        """One row an attempt; the columns are those of load_runs."""
        return frames.attempts_frame([self])

    def summary(self) -> RunSummary:
        """The figures of the run, each with its 95 % interval."""
        return summarize(self.meta(), list(self.rows().values()), self.name)

    def _repr_html_(self) -> str:
        return _html([self.summary()])


class GradedFile(Run):
    """A file of replies that were graded; nothing of it is on disk but the file, which is its folder."""

    def __init__(self, file: Path, meta: Mapping[str, Any], graded: Sequence[Episode]) -> None:
        super().__init__(file, meta)
        object.__setattr__(self, "_graded", {(e.problem_id, e.sample): e for e in graded})

    def meta(self) -> dict[str, Any]:
        """The task, the data, and the name of the file in the place of a method."""
        return dict(self.identity)

    def rows(self) -> dict[tuple[str, int], Episode]:
        """The graded episodes by problem and sample."""
        return dict(object.__getattribute__(self, "_graded"))


@dataclass(frozen=True)
class Results:
    """Runs beside each other. print() shows the tables of `scorebench compare`; a notebook shows them as HTML."""

    runs: tuple[Run, ...]

    @classmethod
    def stored(cls, out: str | Path = "results") -> Results:
        """All runs in a folder of results that are on test problems. Raises UserError where there is none."""
        return cls(tuple(Run(run.folder, run.identity) for run in storage.tested_runs(Path(out) / "runs")))

    def attempts(self) -> pd.DataFrame:
        """One row an attempt; the columns are those of load_runs."""
        return frames.attempts_frame(self.runs)

    def compare(self, baseline: str | None = None) -> pd.DataFrame:
        """One row a run, in fractions of 1; see the function compare."""
        return frames.compare_frame(self._summaries(), baseline)

    def figures(self) -> dict[str, Figure]:
        """The plots of these runs by name, as matplotlib's figures: accuracy by attempt, flips, edit distances."""
        from scorebench.report import gallery

        return {picture.name: picture.draw() for picture in gallery.of_runs(self._summaries())}

    def _summaries(self) -> list[RunSummary]:
        return [run.summary() for run in self.runs if run.rows()]

    def __str__(self) -> str:
        return text_of(self._summaries(), tags=())

    def _repr_html_(self) -> str:
        return _html(self._summaries())


def evaluate(method: str | Sequence[str], task: str | Sequence[str], model: str | None = None, **flags: Any) -> Results:
    """Does what `scorebench run` does, and gives the results: every method on every task.

    flags: those of the command line, with _ for -: limit=20, temperature=0.7, out="results". `set` takes a list such as
    ["stage2.alpha=5"] or a dict such as {"stage2.alpha": 5}. Runs and trainings that are already in `out` are not
    done again. It works where an event loop runs, as in a notebook.

    Raises UserError for whatever the user can mend.
    """
    from scorebench.evaluation.session import Session

    session = Session(_settings(method=method, task=task, model=model, **flags))
    folder = session.settings.out / "runs"
    return Results(tuple(_opened(folder / meta["run"]) for meta, _ in session.run()))


def train(method: str, task: str, model: str | None = None, **flags: Any) -> Path:
    """Does what `scorebench train` does, and gives the folder of the checkpoint, which transformers opens.

    flags: as for evaluate. A training that is already in `out` is not done again; a killed one goes on.
    """
    from scorebench.evaluation.session import Session

    return Session(_settings(method=method, task=task, model=model, **flags)).train(before=lambda training: None).model


def grade(task: str, file: str | Path, data: str | Path = "hub") -> Results:
    """Grades recorded replies without a model, as `scorebench grade` does.

    data: "hub", "embedded", or a folder with the benchmark's files. Rows that cannot be read are left out, and each is
    named in a warning. Raises UserError where no row can be read.
    """
    import warnings

    from scorebench.evaluation.grade_file import grade_file

    kind = str(data)
    source = Source(kind) if kind == "hub" or kind == "embedded" else Source("folder", Path(data))
    result = grade_file(registry.find("task", task), Path(file), source)
    for complaint in result.complaints:
        warnings.warn(f"not graded: {complaint}", stacklevel=2)
    about = {"task": {"name": result.task.name, "version": result.task.version}, "data": result.data}
    meta = {**about, "method": {"name": result.name}}
    return Results((GradedFile(Path(file), meta, [row.episode for row in result.rows]),))


def load_runs(out: str | Path = "results") -> pd.DataFrame:
    """The attempts of all runs in a folder of results that are on test problems, one row an attempt.

    Columns: run, task, data, method, model, seed, problem, sample, turn (from 1), passed, outcome, answer, rule,
    reading, echo, tokens, finish_reason, text. Raises UserError where there is no run.
    """
    return frames.attempts_frame(storage.tested_runs(Path(out) / "runs"))


def compare(out: str | Path = "results", baseline: str | None = None) -> pd.DataFrame:
    """All runs in a folder of results that are on test problems, one row a run, in fractions of 1.

    The columns are those of `scorebench compare --format csv`. baseline: a method or a run; then each row has the
    paired differences from it too. Raises UserError where there is no run, or none of the baseline.
    """
    return Results.stored(out).compare(baseline)


def _settings(**flags: Any) -> Any:
    from scorebench.evaluation.settings import settings_from

    config = flags.pop("config", None)
    if isinstance(flags.get("set"), Mapping):
        flags["set"] = [f"{name}={value}" for name, value in flags["set"].items()]
    return settings_from(flags, config and Path(config))


def _opened(folder: Path) -> Run:
    return Run(folder, storage.read_json(folder / "run.json")["identity"])


def _episode_cells(episode: Episode) -> dict[str, Any]:
    cells: dict[str, Any] = {"problem": episode.problem_id, "sample": episode.sample, **episode.tags}
    for turn, attempt in enumerate(episode.attempts, start=1):
        verdict = attempt.verdict
        cells[f"passed_t{turn}"] = None if verdict.outcome == "error" else verdict.passed
        cells[f"answer_t{turn}"] = verdict.answer
        cells[f"text_t{turn}"] = attempt.reply.text
    return {**cells, "seconds": episode.seconds, "transcript": list(episode.transcript)}


def _html(summaries: Sequence[RunSummary]) -> str:
    """A table for each task, data and model: percent, with 95 % intervals."""
    import pandas as pd

    parts = []
    for group, rows in by_group(summaries).items():
        table = pd.DataFrame([_html_cells(row) for row in rows]).to_html(index=False, border=0)
        parts.append(f"<p><b>{escape(heading(group))}</b>, percent of n problems, with 95 % intervals</p>{table}")
    return "".join(parts)


def _html_cells(row: RunSummary) -> dict[str, Any]:
    five = {_HEADINGS[name]: _percent(estimate, name == "delta") for name, estimate in row.five().items()}
    return {"method": row.identity.method, "seed": row.identity.seed, "n": row.n, "errors": row.errors, **five}


def _percent(estimate: Estimate, signed: bool) -> str:
    value, low, high = (percent(number, signed) for number in estimate)
    return f"{value} [{low}, {high}]"
