"""Self-Refine (Madaan et al. 2023): feedback on the own answer, then a refined answer. Prompting only."""

from __future__ import annotations

from dataclasses import dataclass

from scorebench.api.protocols import Ask, Dialogue, Task
from scorebench.api.types import Problem

# SCoRe's paper prints no prompts for Self-Refine; these two are ours.
FEEDBACK = (
    "Review your answer above. Say which steps are right and which are wrong, and why. "
    "Only give feedback; do not write a new answer."
)
REFINE = "Now use this feedback to improve your answer. Write the whole answer again."


@dataclass(frozen=True)
class SelfRefine:
    """Each further attempt is preceded by feedback, which is asked for but is no attempt."""

    name: str = "self-refine"
    about: str = "Self-Refine: feedback on the own answer, then a refined answer. Prompting only."

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """An attempt; then for each further turn a review of it, and an attempt that uses the review."""
        yield Ask(task.first_prompt(problem))
        for _ in range(turns - 1):
            yield Ask(({"role": "user", "content": FEEDBACK},), attempt=False)
            yield Ask(({"role": "user", "content": f"{REFINE} {task.answer_form}"},))


method = SelfRefine()
