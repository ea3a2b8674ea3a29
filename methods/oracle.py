"""A control that knows the verdicts: it stops at the first right answer, as nobody can who does not know the answer.

Early reports of self-correction did so, and it flatters every model (Huang et al. 2023, arXiv 2310.01798). It bounds
what any way of stopping could gain, and is no method to be ranked.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from scorebench.api.protocols import Ask, Task
from scorebench.api.types import Problem, Reply, Verdict


@dataclass(frozen=True)
class Oracle:
    """The dialogue of `base`, but an answer that passed is kept for all further turns."""

    name: str = "oracle"
    about: str = "Control: stops at the first right answer, which only an oracle knows."
    sees_verdicts: bool = True

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Generator[Ask, tuple[Reply, Verdict], None]:
        """Asks for a correction only where the verdict of the last attempt is no pass."""
        attempt, verdict = yield Ask(task.first_prompt(problem))
        for _ in range(turns - 1):
            if verdict.passed:
                yield Ask(keep=attempt)
            else:
                attempt, verdict = yield Ask(({"role": "user", "content": task.correction},))


method = Oracle()
