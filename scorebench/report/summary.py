"""One run as one row: what it was, and its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scorebench.api.types import Episode
from scorebench.report.identity import Identity as Identity
from scorebench.report.identity import configuration as configuration
from scorebench.report.identity import identify as identify
from scorebench.report.identity import names_of
from scorebench.statistics import metrics
from scorebench.statistics.intervals import Estimate
from scorebench.statistics.metrics import Outcomes
from scorebench.storage.runs import digest


@dataclass(frozen=True)
class RunSummary:
    """The figures of one run, or of several seeds of one configuration pooled.

    n: the denominator, problems with a scored sample; errors: episodes left out of every rate; missing: episodes that
    the run still owes. truncated: attempts cut off at the token limit, of all turns. tokens: mean sampled tokens of
    an episode's attempts. seeds: the runs that were pooled, empty for a single run. edits, tags: how attempts
    changed, and the outcomes of each value of each tag. digest: of all replies and verdicts. equal_runs: how many runs
    with the same replies a greedy run without training stands for (see `pool_seeds`); 0 for all others.
    """

    identity: Identity
    outcomes: Outcomes
    truncated: int
    tokens: float
    missing: int
    edits: metrics.Edits
    tags: Mapping[str, Mapping[str | int, Outcomes]]
    seeds: tuple[RunSummary, ...] = ()
    digest: str = ""
    equal_runs: int = 0

    @property
    def n(self) -> int:
        return self.outcomes.n

    @property
    def errors(self) -> int:
        return self.outcomes.errors

    @property
    def turns(self) -> int:
        return self.outcomes.turns

    @property
    def samples(self) -> int:
        """The largest number of samples of one problem, in one seed."""
        return self.seeds[0].samples if self.seeds else self.outcomes.scored_PK.shape[1]

    def five(self) -> dict[str, Estimate]:
        """The paper's five metrics by their column names."""
        run = self.outcomes
        return {
            "acc_t1": metrics.accuracy(run, 1),
            "acc_t2": metrics.accuracy(run, 2),
            "delta": metrics.delta(run),
            "i_to_c": metrics.i_to_c(run),
            "c_to_i": metrics.c_to_i(run),
        }


def summarize(meta: Mapping[str, Any], episodes: Sequence[Episode], run: str) -> RunSummary:
    """The row of one run, from its run.json, its episodes and its folder's name."""
    identity = identify(meta, run)
    expected = identity.episodes_expected
    tags = dict.fromkeys(tag for episode in episodes for tag in episode.tags)
    return RunSummary(
        identity=identity,
        outcomes=metrics.outcomes(episodes),
        truncated=sum(metrics.truncated(episodes)),
        tokens=sum(metrics.mean_tokens(episodes)),
        missing=max(0, expected - len(episodes)) if expected is not None else 0,
        edits=metrics.edits(episodes),
        tags={tag: metrics.by_tag(episodes, tag) for tag in tags},
        digest=_digest(episodes),
    )


def _digest(episodes: Sequence[Episode]) -> str:
    """Of what was replied and judged, in any order of rows."""
    rows = sorted((e.problem_id, e.sample, *((a.reply.text, a.verdict.outcome) for a in e.attempts)) for e in episodes)
    return digest(rows)


def pool_seeds(summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """Runs that differ in nothing but the seed become one row each, in order of first appearance.

    Where nothing was trained and decoding is greedy, the seed changes nothing: runs with the same replies are one run.
    """
    groups: dict[tuple[Any, ...], list[RunSummary]] = {}
    for summary in summaries:
        groups.setdefault(configuration(summary.identity), []).append(summary)
    distinct = (_distinct(seeds) for seeds in groups.values())
    return [_pooled(seeds) if len(seeds) > 1 else seeds[0] for seeds in distinct]


def _distinct(seeds: Sequence[RunSummary]) -> list[RunSummary]:
    """The runs of all seeds, with equal ones as one.

    Where nothing was trained and decoding is greedy, a seed changes nothing. Such runs with the same replies are one
    run, and its equal_runs says how many there were.
    """
    if not all(seed.identity.greedy and not seed.identity.training for seed in seeds):
        return list(seeds)
    repeats = Counter(seed.digest for seed in seeds)
    first = {seed.digest: seed for seed in reversed(seeds)}
    return [replace(first[key], equal_runs=repeats[key]) for key in dict.fromkeys(seed.digest for seed in seeds)]


def _pooled(seeds: Sequence[RunSummary]) -> RunSummary:
    identities = [seed.identity for seed in seeds]
    tags = dict.fromkeys(tag for seed in seeds for tag in seed.tags)
    return RunSummary(
        identity=replace(
            identities[0],
            seed=None,
            run=", ".join(identity.run for identity in identities),
            seconds=sum(identity.seconds for identity in identities),
        ),
        outcomes=metrics.pool([seed.outcomes for seed in seeds]),
        truncated=sum(seed.truncated for seed in seeds),
        tokens=float(np.mean([seed.tokens for seed in seeds])),
        missing=sum(seed.missing for seed in seeds),
        edits=metrics.Edits(
            ratios=np.concatenate([seed.edits.ratios for seed in seeds]),
            same_answer=float(np.mean([seed.edits.same_answer for seed in seeds])),
            same_text=float(np.mean([seed.edits.same_text for seed in seeds])),
        ),
        tags={tag: _pooled_tag([seed.tags.get(tag, {}) for seed in seeds]) for tag in tags},
        seeds=tuple(seeds),
    )


def _pooled_tag(seeds: Sequence[Mapping[str | int, Outcomes]]) -> dict[str | int, Outcomes]:
    values = dict.fromkeys(value for seed in seeds for value in seed)
    return {value: metrics.pool([seed[value] for seed in seeds if value in seed]) for value in values}


def labels(rows: Sequence[RunSummary]) -> list[str]:
    """What tables and plots call each row: see `names_of`."""
    return names_of([row.identity for row in rows])
