"""Self-rewarding correction: judge the own answer and, in the same breath, write it again where it is wrong.

The dialogue of self-rewarding correction (arXiv 2502.19613): one reply holds the judgement and, if need be, the new
attempt. Only the dialogue, not its training. The prompt is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from scorebench.api.protocols import Ask, Dialogue, Task
from scorebench.api.types import Problem
from scorebench.methods.pag import judged_wrong

JUDGE = "Say first whether the answer above is right or wrong. If it is wrong, write the whole answer again after that."


@dataclass(frozen=True)
class SelfRewarding:
    """A reply that begins by judging the last attempt wrong is the next attempt; otherwise the last one stands."""

    name: str = "self-rewarding"
    about: str = "Judges the own answer, and writes it again in the same breath where it is wrong."

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """An attempt; then for each further turn a reply that judges it, and writes it again where it is wrong."""
        attempt = yield Ask(task.first_prompt(problem))
        for _ in range(turns - 1):
            prompt = f"{JUDGE} {task.answer_form}"
            reply = yield Ask(({"role": "user", "content": prompt},), attempt=False)
            if judged_wrong(reply.text[:100]):
                attempt = reply
            yield Ask(keep=attempt)


method = SelfRewarding()
