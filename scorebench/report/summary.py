"""One run as one row: what it was, and its figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from scorebench.api.types import Episode
from scorebench.statistics import metrics
from scorebench.statistics.intervals import Estimate
from scorebench.statistics.metrics import Outcomes


@dataclass(frozen=True)
class Identity:
    """What a run was, as its row says it.

    data: "embedded", "hub" or "folder:" and the files' digest. settings: everything else that defines the run but the
    seed, as flat names and values; runs with equal settings are seeds of one configuration. episodes_expected: how many
    the run has when it is finished; None where run.json does not say. seconds: wall time of the evaluation.
    """

    task: str
    data: str
    method: str
    model: str
    seed: int | None
    run: str
    seconds: float
    episodes_expected: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


# What two seeds of one configuration share, besides the data; not the trained weights, of which each seed has its own.
DEFINING = ("task", "problems", "method", "model", "engine", "sampling", "system_prompt", "turns", "samples")


def identify(meta: Mapping[str, Any], run: str) -> Identity:
    """Read run.json. The only place of the report that knows its keys; `run` is the folder's name."""
    model = meta.get("model") or {}
    problems = (meta.get("problems") or {}).get("count")
    defining = {key: meta.get(key) for key in DEFINING}
    return Identity(
        task=meta["task"]["name"],
        data=meta["data"],
        method=meta["method"]["name"],
        model=model.get("name") or "",
        seed=meta.get("seed"),
        run=run,
        seconds=float(meta.get("seconds") or 0.0),
        episodes_expected=problems * meta.get("samples", 1) if isinstance(problems, int) else None,
        settings=dict(_flat(defining)),
    )


def _flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        inner = [(f"{name}.{key}" if name else str(key), value[key]) for key in value if key != "seed"]
        return [pair for key, part in inner for pair in _flat(part, key)]
    return [] if value is None else [(name, value if isinstance(value, str) else json.dumps(value, default=str))]


@dataclass(frozen=True)
class RunSummary:
    """The figures of one run, or of several seeds of one configuration pooled.

    n: the denominator, problems with a scored sample; errors: episodes left out of every rate; missing: episodes that
    the run still owes. truncated: attempts cut off at the token limit, of all turns. tokens: mean sampled tokens of
    an episode's attempts. seeds: the runs that were pooled, empty for a single run. edits, tags: how attempts
    changed, and the outcomes of each value of each tag.
    """

    identity: Identity
    outcomes: Outcomes
    truncated: int
    tokens: float
    missing: int
    edits: metrics.Edits
    tags: Mapping[str, Mapping[str | int, Outcomes]]
    seeds: tuple[RunSummary, ...] = ()

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
    )


def pool_seeds(summaries: Sequence[RunSummary]) -> list[RunSummary]:
    """Runs that differ in nothing but the seed become one row each, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[RunSummary]] = {}
    for summary in summaries:
        groups.setdefault(configuration(summary.identity), []).append(summary)
    return [_pooled(seeds) if len(seeds) > 1 else seeds[0] for seeds in groups.values()]


def configuration(identity: Identity) -> tuple[Any, ...]:
    """What two seeds of one configuration share."""
    settings = tuple(sorted(identity.settings.items()))
    return (identity.task, identity.data, identity.method, identity.model, settings)


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
    """The method of each row; where a method stands there with several settings, with those that differ."""
    return [_label(row.identity, [other.identity for other in rows]) for row in rows]


def _label(identity: Identity, others: Sequence[Identity]) -> str:
    ours = identity.settings
    theirs = [other.settings for other in others if other.method == identity.method]
    names = dict.fromkeys(name for settings in [ours, *theirs] for name in settings)
    differing = [name for name in names if any(settings.get(name) != ours.get(name) for settings in theirs)]
    told = [name for name in differing if not name.endswith("digest")] or differing
    return " ".join([identity.method, *(f"{name.split('.')[-1]}={ours.get(name, 'none')}" for name in told)])
