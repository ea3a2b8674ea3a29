"""Stored runs with chosen texts and verdicts, for tests of the page."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scorebench.api.types import Attempt, Episode, Message, Reply, Verdict
from scorebench.storage.runs import as_row

OUTCOMES: dict[str, Any] = {"1": "pass", "0": "fail", "e": "error"}
INSTRUCTION = "You are a math expert.\n\n"


def episode(
    problem: str,
    outcomes: str,
    texts: Sequence[str] | str = "an answer",
    sample: int = 0,
    answer: str | None = "5",
    finish: str = "stop",
    detail: str = "",
    **tags: str | int,
) -> Episode:
    """A dialogue with an attempt for each letter of `outcomes`: "1" pass, "0" fail, "e" error.

    texts: the reply of each attempt, or one text, to which the number of the attempt is added.
    """
    replies = [f"{texts} {turn}" for turn in range(len(outcomes))] if isinstance(texts, str) else list(texts)
    transcript: list[Message] = []
    for turn, text in enumerate(replies):
        question = f"{INSTRUCTION}The question of {problem}" if turn == 0 else "There might be an error. Correct it."
        transcript.append({"role": "user", "content": question})
        transcript.append({"role": "assistant", "content": text})
    attempts = tuple(
        Attempt(Reply(text, tokens=3, finish_reason=finish), Verdict(OUTCOMES[outcome], answer, "a rule", detail))  # type: ignore[arg-type]
        for text, outcome in zip(replies, outcomes, strict=True)
    )
    return Episode(problem, sample, attempts, tuple(transcript), tags)


def store(out: Path, episodes: Sequence[Episode], method: str = "base", model: str = "m", **changes: Any) -> Path:
    """Writes a run whatever its names are, and returns its folder."""
    identity = {
        "task": {"name": "math", "version": "1"},
        "data": "folder:00000000",
        "split": "test",
        "method": {"name": method, "config": {}},
        "model": {"name": model, "digest": "00"},
        "seed": 0,
        **changes,
    }
    folder = out / "runs" / f"run-{len(list(out.glob('runs/*')))}"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"identity": identity, "about": {}}))
    rows = [as_row(one) | {"elapsed": 1.0} for one in episodes]
    (folder / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


WORDS = [
    f"{a}{b}{c}" for a in ("tri", "quo", "num", "sum", "par") for b in ("an", "ti", "me") for c in ("gle", "ent", "ty")
]
SUBJECTS = ("Algebra", "Geometry", "Number Theory")


def store_many(out: Path, methods: Sequence[str], problems: int, words: int = 150) -> None:
    """A run of each method on the same problems, with replies of so many words of no sense, formulas among them."""
    for number, method in enumerate(methods):
        dice = random.Random(number)
        episodes = []
        for p in range(problems):
            flip = dice.choice(["11", "00", "01", "10", "11", "00"])
            first = _reply(dice, words)
            second = first if dice.random() < 0.5 else _reply(dice, words)
            tags: dict[str, Any] = {"subject": SUBJECTS[p % 3], "level": 1 + p % 5}
            episodes.append(episode(f"test/{p:04}", flip, [first, second], **tags))
        store(out, episodes, method)


def _reply(dice: random.Random, words: int) -> str:
    text = " ".join(dice.choice(WORDS) + str(dice.randrange(100)) for _ in range(words))
    return f"{text} so $x^2 = \\frac{{{dice.randrange(99)}}}{{7}}$. Final Answer: The final answer is $5$."
