"""The data that all other modules exchange: problem, reply, verdict, attempt, episode.

Each type is frozen and holds plain data. So it can be pickled, sent to another process and written to disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict


class Message(TypedDict):
    """One chat message, as in every chat API."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Problem:
    """One row of a benchmark.

    id: unique in its task, and the name used upstream where there is one.
    text: the statement as the data set has it; the task makes the prompt from it.
    reference: what the verdict is made from; an answer for math, tests for code. Never shown to a model
        unless the task's prompt says so.
    tags: what results are broken down by (subject, level, ...).
    given: a fixed first attempt, for tasks of repair (MBPP-R); None where the model makes its own.
    solution: the worked solution that the data set has for the problem; None where it has none. A model never sees it
        in a prompt; a method may fine-tune on it.
    """

    id: str
    text: str
    reference: Any
    tags: Mapping[str, str | int] = field(default_factory=dict)
    given: str | None = None
    solution: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How replies are drawn. All of it is part of what a run is.

    temperature: 0 is greedy: always the most probable token.
    top_p: only the most probable tokens that together have this probability; 1 for all.
    top_k: only so many of the most probable tokens; 0 for all.
    max_tokens: the longest reply, in tokens.
    stop: strings that end a reply; the reply stops before the first of them.
    repetition_penalty: divides the logits of tokens that occurred before, in the prompt or the reply (Keskar et al.,
        2019); 1 for none.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 1024
    stop: tuple[str, ...] = ()
    repetition_penalty: float = 1.0


@dataclass(frozen=True)
class Reply:
    """What an engine gave back for one prompt.

    token_ids: the sampled ids, an end-of-turn token included if it was sampled, a stop string not; empty for engines
        that show none. Where a stop string begins inside a token, the rest of this token is encoded anew.
    logprobs: natural-log probability of each id of token_ids under the distribution it was drawn from (before
        top-p and top-k; at temperature 1 when greedy); empty where the engine has none.
    finish_reason: "stop", "length" (cut off at max_tokens: not a wrong answer, a missing one), or "given".
    prompt_ids: the ids that the engine was given, so that training sees what sampling saw.
    tokens: how many tokens were sampled; kept when the ids themselves are not stored.
    prompt_tokens: length of the prompt in tokens; computed_tokens: those of them that were not in a cache.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finish_reason: Literal["stop", "length", "given"] = "stop"
    prompt_ids: tuple[int, ...] = ()
    tokens: int = 0
    prompt_tokens: int = 0
    computed_tokens: int = 0


# How replies are read: "loose" also takes an answer that is not in the form that the prompt asks for.
Reading = Literal["loose", "strict"]


@dataclass(frozen=True)
class Verdict:
    """Whether an attempt was right, and how that was found out.

    outcome: "pass", "fail", or "error": a fault of the harness or the machine, never of the model. An error is
        counted, shown and retried, and never scored as wrong.
    answer: the answer as extracted from the reply (math), or the program (code); None if none was found.
    rule: a short stable name of what decided: the rule that found the answer or the check that settled it.
    detail: one line for a person, such as the failing assertion.
    reading: how the answer was found: "stated" in the form that the prompt asks for, read by a "loose" rule, or "none";
        "" where nothing was read, as in a verdict on a bare answer.
    echo: the answer stands word for word in the problem, and the reference does not. It does not change the
        outcome.
    """

    outcome: Literal["pass", "fail", "error"]
    answer: str | None = None
    rule: str = ""
    detail: str = ""
    reading: Literal["stated", "loose", "none", ""] = ""
    echo: bool = False

    @property
    def passed(self) -> bool:
        """Whether the outcome is "pass"; an error has not passed."""
        return self.outcome == "pass"


@dataclass(frozen=True)
class Attempt:
    """A graded reply: one turn of a dialogue.

    sampled: how many tokens this turn sampled. Replies that are no attempts, such as a review before this attempt, are
        included. It is 0 where an earlier answer was kept, and None where only the reply's own count is known.
    """

    reply: Reply
    verdict: Verdict
    sampled: int | None = None

    @property
    def tokens(self) -> int:
        """How many tokens the turn sampled, reviews included where that is known."""
        return self.reply.tokens if self.sampled is None else self.sampled


@dataclass(frozen=True)
class Episode:
    """One complete dialogue on one problem. It is stored as one line of episodes.jsonl.

    sample: which of the several dialogues on this problem, from 0.
    attempts: turn 1, turn 2, ... in order.
    transcript: every message of the dialogue, in order, including replies that are no attempts, such as a review.
    """

    problem_id: str
    sample: int
    attempts: tuple[Attempt, ...]
    transcript: tuple[Message, ...] = ()
    tags: Mapping[str, str | int] = field(default_factory=dict)
    seconds: float = 0.0
