"""Which runs belong together, which of them a method is compared with, and the comparison."""

from __future__ import annotations

from collections.abc import Sequence

from scorebench.api.errors import UserError
from scorebench.report.summary import RunSummary, configuration, pool_seeds
from scorebench.statistics import metrics
from scorebench.statistics.metrics import Comparison

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


def against(summary: RunSummary, summaries: Sequence[RunSummary], baseline: str) -> Comparison | None:
    """The comparison of a run, or of pooled seeds, with the baseline of its group; None for the baseline itself.

    A single run meets the baseline of its own seed; pooled seeds, and a seed that the baseline has not, meet all of the
    baseline's seeds pooled. None too where the group has no baseline, or either has no second attempt.
    """
    theirs = [other for other in summaries if group_of(other) == group_of(summary) and _is(other, baseline)]
    if not theirs or configuration(theirs[0].identity) == configuration(summary.identity):
        return None
    if len({configuration(other.identity) for other in theirs}) > 1:
        runs = ", ".join(other.identity.run for other in theirs)
        raise UserError(f"The baseline {baseline!r} was run with different settings; name one of its runs: {runs}.")
    same_seed = [other for other in theirs if other.identity.seed == summary.identity.seed]
    opponent = same_seed[0] if same_seed and not summary.seeds else pool_seeds(theirs)[0]
    if min(summary.turns, opponent.turns) < 2:
        return None
    return metrics.compare(summary.outcomes, opponent.outcomes)


def _is(summary: RunSummary, baseline: str) -> bool:
    return baseline in (summary.identity.method, summary.identity.run)
