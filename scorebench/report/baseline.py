"""Which runs belong together, which of them a method is compared with, and the comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scorebench.api.errors import UserError
from scorebench.report.identity import conditions, configuration, differing
from scorebench.report.summary import RunSummary, pool_seeds
from scorebench.statistics import metrics
from scorebench.statistics.intervals import UNKNOWN, Estimate
from scorebench.statistics.metrics import Comparison

RESAMPLE = "resample"  # the control whose second attempt does not see the first

Group = tuple[str, str, str]  # task, data, model


def group_of(summary: RunSummary) -> Group:
    """Task, data and model: only runs that share all three stand in one table or are compared."""
    identity = summary.identity
    return identity.task, identity.data, identity.model


def heading(group: Group) -> str:
    """A group in words; embedded problems are never taken for the benchmark."""
    task, data, model = group
    source = "embedded problems, not the benchmark" if data == "embedded" else f"data {data}"
    return f"{task} ({source}), {model or 'no model'}"


def by_group(summaries: Sequence[RunSummary]) -> dict[Group, list[RunSummary]]:
    """The runs of each group, in order of first appearance."""
    groups: dict[Group, list[RunSummary]] = {}
    for summary in summaries:
        groups.setdefault(group_of(summary), []).append(summary)
    return groups


def check_baseline(summaries: Sequence[RunSummary], baseline: str) -> None:
    """Raise UserError where no run is of the method or the folder that `baseline` names."""
    if not any(_is(summary, baseline) for summary in summaries):
        methods = ", ".join(sorted({summary.identity.method for summary in summaries}))
        raise UserError(f"No run of the baseline {baseline!r} is here; name one of these methods, or a run: {methods}.")


@dataclass(frozen=True)
class Opponent:
    """What a run is compared with. run: None where there is nothing. note: a sentence where that needs explaining."""

    run: RunSummary | None = None
    note: str = ""


def opponent(summary: RunSummary, summaries: Sequence[RunSummary], baseline: str) -> Opponent:
    """The runs of the baseline that a run, or pooled seeds, is to be compared with.

    Where the baseline was run with several settings, it is those whose settings are the run's own, or differ least from
    them; none where two differ equally. A single run meets the baseline of its own seed. Pooled seeds meet all seeds of
    the baseline pooled, and so does a run whose seed the baseline does not have. Nothing for the baseline itself, where
    the group has no baseline, and where either has no second attempt.
    """
    theirs = [other for other in summaries if group_of(other) == group_of(summary) and _is(other, baseline)]
    own = configuration(summary.identity)
    if not theirs or any(configuration(other.identity) == own for other in theirs):
        return Opponent()
    ours = conditions(summary.identity)
    by_settings: dict[tuple[object, ...], list[RunSummary]] = {}
    for other in theirs:
        by_settings.setdefault(configuration(other.identity), []).append(other)
    distance = {key: differing(conditions(seeds[0].identity), ours) for key, seeds in by_settings.items()}
    fewest = min(map(len, distance.values()))
    nearest = [key for key, names in distance.items() if len(names) == fewest]
    name = summary.identity.method
    if len(nearest) > 1:
        told = "; ".join(_told(by_settings[key][0], summary, distance[key]) for key in nearest)
        return Opponent(
            note=f"{name} is compared with no run of {baseline}, as {len(nearest)} of them are equally near ({told}); "
            "name one run with --baseline."
        )
    seeds = by_settings[nearest[0]]
    same_seed = [other for other in seeds if other.identity.seed == summary.identity.seed]
    found = same_seed[0] if same_seed and not summary.seeds else pool_seeds(seeds)[0]
    if min(summary.turns, found.turns) < 2:
        return Opponent()
    names = distance[nearest[0]]
    if not names:
        return Opponent(found)
    return Opponent(found, f"{name} and {baseline} were not run alike: {_told(found, summary, names)}.")


def _told(theirs: RunSummary, ours: RunSummary, names: Sequence[str]) -> str:
    """How two runs differ: "temperature 0.0 against 0.7"."""
    pairs = [(name, *(run.identity.settings.get(name, "none") for run in (ours, theirs))) for name in names]
    return ", ".join(f"{name.rpartition('.')[2]} {own} against {other}" for name, own, other in pairs)


def against(summary: RunSummary, summaries: Sequence[RunSummary], baseline: str) -> Comparison | None:
    """The comparison of a run, or of pooled seeds, with its `opponent`; None where there is none."""
    found = opponent(summary, summaries, baseline).run
    return metrics.compare(summary.outcomes, found.outcomes) if found else None


def gain_over_resample(summary: RunSummary, summaries: Sequence[RunSummary]) -> tuple[Estimate, str]:
    """Acc@t2 minus that of the control `resample`, whose second attempt does not see the first, and the control's run.

    The control is of the same task, data and model, of the same weights where there is one. UNKNOWN and "" where there
    is none.
    """
    controls = [other for other in summaries if group_of(other) == group_of(summary) and _is(other, RESAMPLE)]
    same_weights = [other for other in controls if other.identity.training == summary.identity.training]
    found = opponent(summary, same_weights or controls, RESAMPLE).run
    if found is None:
        return UNKNOWN, ""
    return metrics.difference(summary.outcomes, found.outcomes, "acc_t2"), found.identity.run


def _is(summary: RunSummary, baseline: str) -> bool:
    return baseline in (summary.identity.method, summary.identity.run)
