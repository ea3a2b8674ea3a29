"""A control: the attempt that is corrected is the model's attempt at another problem.

A gain that it shows as well does not come from reading the own attempt: the model has only answered once more.
"""

from __future__ import annotations

from dataclasses import dataclass

from scorebench.api.errors import UserError
from scorebench.api.protocols import Ask, Dialogue, Task
from scorebench.api.types import Problem, Reply


@dataclass(frozen=True)
class Donor:
    """Attempt 1 is the model's own. Before attempt 2 it stands in the conversation as if it were the donor's attempt.

    The donor's attempt is sampled for each dialogue, with the donor's prompt; its tokens count for turn 2. Where a task
    gives first attempts (mbpp-r), it is the one given for the donor. Attempt 3 corrects attempt 2, as in `base`.
    """

    name: str = "donor"
    about: str = "Control: another problem's attempt stands in the place of the own one."
    takes_donor: bool = True

    def dialogue(self, task: Task, problem: Problem, turns: int, donor: Problem | None = None) -> Dialogue:
        """Raises UserError where there is no other problem."""
        if donor is None:
            raise UserError("donor takes another problem's attempt, and there is one problem only; give more problems.")
        yield Ask(task.first_prompt(problem))
        if turns == 1:
            return
        other = Reply(donor.given) if donor.given is not None else None
        if other is None:
            other = yield Ask(task.first_prompt(donor), attempt=False, fresh=True)
        yield Ask(task.first_prompt(problem), attempt=False, fresh=True, given=other)
        for _ in range(turns - 1):
            yield Ask(({"role": "user", "content": task.correction},))


method = Donor()
