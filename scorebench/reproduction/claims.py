"""The paper's ten claims, judged by the rows.

SCoRe (arXiv 2409.12917) says in section 6 and its tables what comes of each method. A claim is a few findings: a
figure, its interval, and the side of a bound on which the claim puts it. It came out if every finding lies there with
its whole 95 % interval and in every seed; one seed or an interval that reaches across the bound is enough for it not
to come out. Where runs that it needs are missing, and no other finding speaks against it, it cannot be judged.

The intervals are over problems and seeds (statistics/seeds.py), and methods are compared on the same problems. A figure
of one training has an interval over problems only. Besides, every seed has to agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scorebench.api.percent import percent
from scorebench.report.rows import Row
from scorebench.report.summary import RunSummary
from scorebench.reproduction.paper import figures as paper_figures
from scorebench.statistics import intervals, metrics
from scorebench.statistics.intervals import UNKNOWN, Estimate
from scorebench.statistics.majority_vote import Scaling
from scorebench.statistics.metrics import Figure

MARGIN = 0.01  # a gain below one point is none; ours, as the paper tests nothing
COPIES = 0.75  # a method whose second attempts are copies more often than this hardly edits; ours, from a histogram

NAMES: dict[str, str] = {"acc_t1": "Acc@t1", "acc_t2": "Acc@t2", "delta": "delta", "i_to_c": "i->c", "c_to_i": "c->i"}
Outcome = Literal["came out", "did not come out", "cannot be judged"]


@dataclass(frozen=True)
class Finding:
    """One figure that a claim rests on, in fractions of 1.

    seeds: the figure of each seed. side, bound: where the claim puts it. paper: the published figure, where there is
    one.
    """

    what: str
    estimate: Estimate
    seeds: tuple[float, ...]
    side: Literal["below", "above"]
    bound: float = 0.0
    signed: bool = True
    paper: float = math.nan

    @property
    def agreeing(self) -> int:
        """How many seeds lie on the claimed side."""
        return sum(seed < self.bound if self.side == "below" else seed > self.bound for seed in self.seeds)

    @property
    def holds(self) -> bool:
        clear = self.estimate.high < self.bound if self.side == "below" else self.estimate.low > self.bound
        return clear and self.agreeing == len(self.seeds)

    @property
    def reversed(self) -> bool:
        """Whether the whole interval lies on the other side."""
        return self.estimate.low > self.bound if self.side == "below" else self.estimate.high < self.bound

    @property
    def distance(self) -> float:
        """From the bound to the interval's nearer end, positive on the claimed side."""
        return self.bound - self.estimate.high if self.side == "below" else self.estimate.low - self.bound

    def __str__(self) -> str:
        value, low, high = (percent(part, self.signed) for part in self.estimate)
        paper = "" if math.isnan(self.paper) else f"; the paper: {percent(self.paper, self.signed)}"
        seeds = f"{self.agreeing} of {len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"
        bound = percent(self.bound, self.signed)
        return f"{self.what} {value} (95 % interval {low}, {high}; {self.side} {bound} in {seeds}{paper})"


@dataclass(frozen=True)
class Claim:
    """One of the ten, and what it rests on. missing: methods whose rows it would need besides."""

    number: int
    statement: str
    findings: tuple[Finding, ...]
    missing: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        if any(not finding.holds for finding in self.findings):
            return "did not come out"
        return "cannot be judged" if self.missing or not self.findings else "came out"

    @property
    def deciding(self) -> list[Finding]:
        """The findings that speak against it; else all, where they are few; else the one that came closest to."""
        against = [finding for finding in self.findings if not finding.holds]
        if against or len(self.findings) <= 3:
            return against or list(self.findings)
        return [min(self.findings, key=lambda finding: finding.distance)]

    @property
    def text(self) -> str:
        """What the outcome rests on, in words."""
        told = "; ".join(str(finding) for finding in self.deciding)
        if self.outcome == "cannot be judged":
            return f"Rows are missing: {', '.join(self.missing)}." + (f" What is there agrees: {told}." if told else "")
        if self.outcome == "came out":
            others = len(self.findings) - len(self.deciding)
            return f"Measured: {told}." + (f" The {others} other comparisons are clearer." if others else "")
        reversed_ = [finding for finding in self.deciding if finding.reversed]
        verdict = "The opposite is measured" if len(reversed_) == len(self.deciding) else "The rows do not show it"
        agreeing = len(self.findings) - len(self.deciding)
        return f"{verdict}: {told}." + (f" {agreeing} of {len(self.findings)} comparisons agree." if agreeing else "")


@dataclass(frozen=True)
class Evidence:
    """What there is of one task: a row a method, with its seeds pooled, and scaling curves by method."""

    task: str
    rows: Mapping[str, RunSummary]
    curves: Mapping[str, Scaling]

    def five(self, method: str, figure: Figure, side: Literal["below", "above"], bound: float) -> Finding:
        """One of a method's five metrics against a bound."""
        row = self.rows[method]
        seeds = tuple(seed.five()[figure].value for seed in row.seeds or (row,))
        paper = paper_figures(self.task).get(method, {}).get(figure, math.nan)
        return Finding(f"{NAMES[figure]} of {method}", row.five()[figure], seeds, side, bound, paper=paper)

    def against(self, method: str, rival: str, figure: Figure, side: Literal["below", "above"]) -> Finding:
        """A method's metric minus a rival's, on the same problems; seeds of the same number meet each other."""
        ours, theirs = self.rows[method], self.rows[rival]
        by_number = {row.identity.seed: row for row in theirs.seeds or (theirs,)}
        pairs = [(row, by_number.get(row.identity.seed, theirs)) for row in ours.seeds or (ours,)]
        paper = paper_figures(self.task)
        return Finding(
            f"{NAMES[figure]} of {method} minus that of {rival}",
            metrics.difference(ours.outcomes, theirs.outcomes, figure),
            tuple(metrics.difference(a.outcomes, b.outcomes, figure).value for a, b in pairs),
            side,
            paper=paper.get(method, {}).get(figure, math.nan) - paper.get(rival, {}).get(figure, math.nan),
        )

    def copies(self, method: str) -> Finding:
        """The share of dialogues whose second attempt is the first, letter by letter."""
        row = self.rows[method]
        share = row.edits.same_text
        interval = intervals.wilson(share, row.n) if row.n else UNKNOWN[1:]
        seeds = tuple(seed.edits.same_text for seed in row.seeds or (row,))
        what = f"share of unchanged answers of {method}"
        return Finding(what, Estimate(share, *interval), seeds, "above", COPIES, signed=False)

    def sequential(self, method: str) -> Finding:
        """Sequential minus parallel sampling at the largest budget."""
        curve = self.curves[method]
        budget = max(curve.differences)
        found = curve.differences[budget]
        parallel = next(p for p in curve.points if p.way == "parallel" and p.budget == budget).accuracy.value
        what = f"sequential minus parallel ({percent(parallel)}) at {budget} samples of {method}"
        return Finding(what, found, (found.value,), "above")


def no_gain(evidence: Evidence, method: str) -> list[Finding]:
    return [evidence.five(method, "delta", "below", MARGIN)]


def loses(evidence: Evidence, method: str) -> list[Finding]:
    return [evidence.five(method, "delta", "below", 0.0)]


def gains_less(evidence: Evidence, method: str) -> list[Finding]:
    return [evidence.against(method, "score", "delta", "below")]


def hardly_edits(evidence: Evidence, method: str) -> list[Finding]:
    return [evidence.copies(method)]


def beaten_by_score(evidence: Evidence, rival: str) -> list[Finding]:
    figures: tuple[Figure, ...] = ("acc_t2", "delta")
    return [evidence.against("score", rival, figure, "above") for figure in figures]


def fewer_losses(evidence: Evidence, method: str) -> list[Finding]:
    return [evidence.against(method, "base", "c_to_i", "below")]


RIVALS = ("base", "self-refine", "pair-sft", "pair-sft+", "star", "star+")  # the paper's main table

# Statement, what is found of each method, the methods, and the rows that each finding needs besides.
CLAIMS: tuple[tuple[str, Callable[[Evidence, str], list[Finding]], tuple[str, ...], tuple[str, ...]], ...] = (
    ("The base model does not gain by correcting itself", no_gain, ("base",), ()),
    ("Self-Refine does not gain", no_gain, ("self-refine",), ()),
    ("STaR on D loses at its second attempt", loses, ("star",), ()),
    ("STaR on D+ and Pair-SFT hardly edit their answers", hardly_edits, ("star+", "pair-sft", "pair-sft+"), ()),
    ("SCoRe gains most, and is best at its second attempt", beaten_by_score, RIVALS, ("score",)),
    ("SCoRe spoils fewer right answers than the base model", fewer_losses, ("score",), ("base",)),
    ("Single-turn RL does not gain by correcting itself", no_gain, ("rl-single-turn",), ()),
    ("Without Stage I the gain is less than SCoRe's", gains_less, ("score-no-stage1",), ("score",)),
    ("Without the shaped reward the gain is less than SCoRe's", gains_less, ("score-no-shaping",), ("score",)),
)
LAST = "Sequential sampling beats parallel sampling at equal samples"
STATEMENTS = (*(statement for statement, *_ in CLAIMS), LAST)


def judge(evidence: Evidence) -> list[Claim]:
    """The ten, in the paper's order."""
    claims = []
    for number, (statement, find, methods, besides) in enumerate(CLAIMS, start=1):
        missing = [name for name in (*methods, *besides) if name not in evidence.rows]
        there = [] if set(besides) & set(missing) else [name for name in methods if name in evidence.rows]
        findings = tuple(finding for name in there for finding in find(evidence, name))
        claims.append(Claim(number, statement, findings, tuple(missing)))
    found = (evidence.sequential("score"),) if "score" in evidence.curves else ()
    return [*claims, Claim(len(claims) + 1, LAST, found, () if found else ("pool of score",))]


def claim_rows(task: str, claims: Sequence[Claim]) -> list[Row]:
    """Every finding as a row of claims.csv, in fractions of 1."""
    return [
        {
            "task": task,
            "claim": claim.number,
            "statement": claim.statement,
            "outcome": claim.outcome,
            "figure": finding.what,
            "value": round(finding.estimate.value, 6),
            "low": round(finding.estimate.low, 6),
            "high": round(finding.estimate.high, 6),
            "claimed": f"{finding.side} {finding.bound:g}",
            "seeds": len(finding.seeds),
            "seeds_agreeing": finding.agreeing,
            "holds": str(finding.holds).lower(),
            "paper": None if math.isnan(finding.paper) else round(finding.paper, 6),
        }
        for claim in claims
        for finding in claim.findings
    ]
