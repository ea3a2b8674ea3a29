"""The runs as one HTML page that holds everything it shows: tables, plots, transcripts.

It needs no network and runs no script. Replies, problems and names are other people's text and are escaped, all of
them; a policy in the page's head forbids scripts and foreign content besides.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorebench.api.progress import progress
from scorebench.report import gallery, plots
from scorebench.report.baseline import by_group, heading
from scorebench.report.gallery import Picture
from scorebench.report.render import Table
from scorebench.report.summary import summarize
from scorebench.report.tables import people_tables
from scorebench.storage.runs import Run, tested_runs

if TYPE_CHECKING:
    from markupsafe import Markup

LONGEST = 20_000  # characters of a message; what is behind them is left out, and said to be


@dataclass(frozen=True)
class Kind:
    """What became of an episode between its first two attempts. word: as a name in the page's style sheet."""

    word: str
    label: str


FLIPS = {
    (False, True): Kind("gained", "i→c"),
    (True, False): Kind("lost", "c→i"),
    (False, False): Kind("stayed-wrong", "i→i"),
    (True, True): Kind("stayed-right", "c→c"),
    (False,): Kind("wrong", "i"),
    (True,): Kind("right", "c"),
}
ERROR = Kind("not-graded", "error")


@dataclass(frozen=True)
class Group:
    """A task, data and model: its heading, its tables and its plots as SVG."""

    heading: str
    tables: Sequence[Table]
    pictures: Sequence[Markup]


@dataclass(frozen=True)
class Shown:
    """A run's transcripts. totals, shown: how many episodes of each kind there are, and are on the page."""

    name: str
    title: str
    episodes: Sequence[dict[str, Any]]
    totals: Counter[str]
    shown: Counter[str]


def page(out: Path, transcripts: int) -> str:
    """The page of all runs on test problems under a folder of results.

    transcripts: how many of each kind of flip are shown of a run, at most. Raises UserError where there are no runs.
    """
    runs = tested_runs(out / "runs")
    summaries = []
    shown = []
    with progress("read runs", len(runs)) as tell:
        for done, run in enumerate(runs, start=1):
            episodes = list(run.rows().values())
            if episodes:
                summaries.append(summarize(run.meta(), episodes, run.name))
                shown.append(_shown(run, transcripts))
            tell(done)
    of_runs, of_trainings = gallery.of_runs(summaries), gallery.of_trainings(out / "checkpoints", first_seed_only=True)
    drawn = _drawn([*of_runs, *of_trainings])
    groups = [
        Group(heading(group), people_tables(some), [drawn[p.name] for p in of_runs if p.group == group])
        for group, some in by_group(summaries).items()
    ]
    return _template().render(
        groups=groups,
        trainings=[drawn[picture.name] for picture in of_trainings],
        runs=shown,
        kinds=[*FLIPS.values(), ERROR],
        embedded=any(summary.identity.data == "embedded" for summary in summaries),
    )


def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("scorebench.report")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("view.html.j2")


def _drawn(pictures: Sequence[Picture]) -> dict[str, Markup]:
    """The plots as SVG elements, by name."""
    from markupsafe import Markup

    with progress("draw plots", len(pictures)) as tell:
        drawn = {}
        for done, picture in enumerate(pictures, start=1):
            text = io.StringIO()
            plots.write_svg(picture.draw(), text)
            drawn[picture.name] = Markup(text.getvalue()[text.getvalue().index("<svg") :])  # less the XML prologue
            tell(done)
    return drawn


def _shown(run: Run, transcripts: int) -> Shown:
    """The first episodes of each kind, in the order of problems."""
    rows = {(row["problem"], row["sample"]): row for row in run.lines()}
    totals: Counter[str] = Counter()
    episodes = []
    for _, row in sorted(rows.items()):
        kind = kind_of(row)
        totals[kind.word] += 1
        if totals[kind.word] <= transcripts:
            episodes.append(
                {"kind": kind, "problem": row["problem"], "sample": row["sample"], "messages": list(_messages(row))}
            )
    identity = run.identity
    title = f"{identity['method']['name']} on {identity['task']['name']} ({identity['data']}), "
    title += f"{identity['model']['name']}, seed {identity['seed']}"
    return Shown(run.name, title, episodes, totals, Counter(episode["kind"].word for episode in episodes))


def kind_of(row: dict[str, Any]) -> Kind:
    """The flip of a stored row, from attempt 1 to attempt 2."""
    outcomes = [attempt["verdict"]["outcome"] for attempt in row["attempts"]]
    if "error" in outcomes:
        return ERROR
    return FLIPS[tuple(outcome == "pass" for outcome in outcomes[:2])]


def _messages(row: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The transcript, each message with the attempts that it is."""
    for number, message in enumerate(row["transcript"]):
        attempts = [
            {"turn": turn, "outcome": attempt["verdict"]["outcome"], "told": _told(attempt)}
            for turn, attempt in enumerate(row["attempts"], start=1)
            if attempt["message"] == number
        ]
        yield {"role": message["role"], "content": _cut(message["content"], LONGEST), "attempts": attempts}


def _told(attempt: dict[str, Any]) -> str:
    """How the verdict came about, in a line. The answer of a code task is the program itself, and not said again."""
    verdict = attempt["verdict"]
    answer = verdict["answer"]
    said = [f"answer {answer}" if answer and "\n" not in answer else "", verdict["rule"], verdict["detail"]]
    cut = "cut off at the token limit" if attempt["finish_reason"] == "length" else ""
    return _cut("; ".join(word for word in [*said, cut] if word), 300)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]} ... ({len(text) - length:,} more characters)"
