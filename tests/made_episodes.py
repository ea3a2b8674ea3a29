"""Episodes with chosen verdicts, for tests of metrics and tables."""

from __future__ import annotations

from collections.abc import Sequence

from scorebench.api.types import Attempt, Episode, Reply, Verdict

OUTCOMES = {"1": "pass", "0": "fail", "e": "error"}


def episode(
    problem: str, verdicts: str, sample: int = 0, texts: Sequence[str] | None = None, **tags: str | int
) -> Episode:
    """One episode whose attempts have these verdicts: "1" pass, "0" fail, "e" error; each reply is two tokens long."""
    texts = texts or [f"attempt {turn}" for turn in range(len(verdicts))]
    attempts = tuple(
        Attempt(Reply(text, tokens=2), Verdict(OUTCOMES[verdict], answer=text))  # type: ignore[arg-type]
        for verdict, text in zip(verdicts, texts, strict=True)
    )
    return Episode(problem, sample, attempts, tags=tags)


def run_of(n: int, t1: int, i_to_c: int, c_to_i: int) -> list[Episode]:
    """n two-turn episodes, one a problem, of which t1 pass first, and so many flip."""
    kept = t1 - c_to_i
    verdicts = ["11"] * kept + ["10"] * c_to_i + ["01"] * i_to_c
    verdicts += ["00"] * (n - len(verdicts))
    return [episode(str(number), verdict) for number, verdict in enumerate(verdicts)]
