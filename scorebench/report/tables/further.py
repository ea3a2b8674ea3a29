"""The tables of what is measured besides the five: what attempts 2 keep and mend, and what is only form."""

from __future__ import annotations

from scorebench.report.render import Table
from scorebench.report.tables.cells import Column, Numbers, Part, count, interval, is_missing, share

KEPT = (
    interval("CL", "cl"),
    interval("CS", "cs"),
    interval(("changed", "if right"), "changed_right"),
    interval(("changed", "if wrong"), "changed_wrong"),
)
VERIFIER = (
    interval(("check finds", "right"), "verifier_right"),
    interval(("check finds", "wrong"), "verifier_wrong"),
)


def kept_table(part: Part) -> Table:
    """CL and CS, changed answers, the recall of the method's own check, tokens for each net correction."""
    verifies = any(_has(part, f"verifier_{word}") for word in ("right", "wrong"))
    tokens = Column(("tokens a net", "correction"), _tokens)
    columns = (*KEPT, *(VERIFIER if verifies else ()), tokens)
    notes = [
        "CL: right at attempt 2, percent of those right at attempt 1. CS: right at attempt 2, percent of those wrong "
        "at attempt 1; it falls as Acc@t1 rises, so read it beside Acc@t1. Acc@t2 = Acc@t1 CL + (1 - Acc@t1) CS.",
        "changed: percent of right and of wrong first attempts whose answer attempt 2 changes. tokens a net "
        "correction: sampled tokens of attempt 2, reviews included, for each problem that it gains net; - where it "
        "gains none.",
    ]
    if verifies:
        notes.append(
            "check finds: percent of right first attempts that the method's own check found right, and of wrong ones "
            "that it found wrong."
        )
    return part.table("what attempt 2 keeps and mends", columns, notes)


def _has(part: Part, name: str) -> bool:
    return any(not is_missing(value) for value in part.frame[name])


def _tokens(numbers: Numbers) -> tuple[str, ...]:
    value, low, high = (numbers[f"tokens_per_correction{end}"] for end in ("", "_low", "_high"))
    if is_missing(value):
        return ("-",)
    return f"{value:,.0f}", f"{low:,.0f}, " + (f"{high:,.0f}" if high < float("inf") else "no bound")


GAINS = (
    interval(("format", "gain"), "format_gain", signed=True),
    interval(("answer", "gain"), "answer_gain", signed=True),
    interval(("form", "i->c"), "i_to_c_form"),
    interval(("form", "c->i"), "c_to_i_form"),
)


def form_table(part: Part) -> Table:
    """How attempts state their answer, and how much of the gain is only that an answer was or was not stated."""
    shares = [(turn, word) for turn in (1, 2) for word in ("stated", "loose", "none") if _has(part, f"{word}_t{turn}")]
    columns = [share((f"t{turn}", word), f"{word}_t{turn}") for turn, word in shares]
    notes = [
        "t1, t2: percent of attempts that stated their answer as asked, that were read by a looser rule, and in which "
        "no answer was found. Older rows say only whether one was found.",
        "form i->c and c->i: the flips in which attempt 1, or attempt 2, has no answer at all. format gain is their "
        "difference, answer gain the rest of delta.",
    ]
    echoed = [count("echo", "echoed"), count(("echo,", "passed"), "echoed_passed")] if any(part.frame["echoed"]) else []
    if echoed:
        notes.append(
            "echo: attempts whose answer is a formula of the problem, word for word, while the reference is not; and "
            "how many of them passed."
        )
    return part.table("how answers are stated", (*columns, *GAINS, *echoed), notes)
