"""The model as it is: answers, is asked to correct itself, answers again."""

from __future__ import annotations

from dataclasses import dataclass

from scorebench.api.protocols import Ask, Dialogue, Task
from scorebench.api.types import Problem


def intrinsic(task: Task, problem: Problem, turns: int) -> Dialogue:
    """The paper's dialogue: the task's prompt, then its fixed correction instruction, whatever the answer was."""
    yield Ask(task.first_prompt(problem))
    for _ in range(turns - 1):
        yield Ask(({"role": "user", "content": task.correction},))


@dataclass(frozen=True)
class Base:
    """No training, no prompting beyond the task's own."""

    name: str = "base"
    about: str = "The model as it is, asked to correct itself."

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """The paper's dialogue; see intrinsic."""
        return intrinsic(task, problem, turns)


method = Base()
