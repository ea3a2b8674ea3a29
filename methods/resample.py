"""A control: later attempts do not see the earlier ones. It shows what a second chance alone is worth.

Compared with it, a method's gain is correction and not luck ("Refining over Resampling", arXiv 2608.05643). Sampled
greedily, all attempts are the same, and the control says nothing: give a --temperature.
"""

from __future__ import annotations

from dataclasses import dataclass

from scorebench.api.protocols import Ask, Dialogue, Task
from scorebench.api.types import Problem


@dataclass(frozen=True)
class Resample:
    """Every attempt is a new conversation with the task's first prompt, so attempts are independent samples."""

    name: str = "resample"
    about: str = "Control: every attempt is a new sample that does not see the last one."

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """The first prompt `turns` times, each time without history."""
        for _ in range(turns):
            yield Ask(task.first_prompt(problem), fresh=True)


method = Resample()
