"""Think-again: asks for another attempt in other words than the task's."""

from __future__ import annotations

from dataclasses import dataclass

from scorebench import Ask, Dialogue, Problem, Task


@dataclass(frozen=True)
class ThinkAgain:
    """Every further attempt follows a review, which is asked for and is no attempt."""

    name: str = "think-again"
    about: str = "A review in one sentence, then the whole answer again."

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """Exactly `turns` of the Asks are attempts."""
        yield Ask(task.first_prompt(problem))
        for _ in range(turns - 1):
            yield Ask(({"role": "user", "content": "In one sentence: is the answer right?"},), attempt=False)
            yield Ask(({"role": "user", "content": f"Write the whole answer again. {task.answer_form}"},))


method = ThinkAgain()
