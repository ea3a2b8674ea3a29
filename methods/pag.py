"""Verify, then revise: another attempt only where the own verification says that the last one is wrong.

The dialogue of PAG (arXiv 2506.10406), in which one model is policy and verifier in turn. Only the dialogue: its
training is not built here, so this shows what selective revision is worth to a model as it is. The prompt is ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scorebench.contracts import Ask, Dialogue, Task
from scorebench.types import Problem

VERIFY = "Verify the answer above: put it back into the problem step by step, and say at the end whether it is right."
_JUDGEMENT = re.compile(r"\b(not right|not correct|right|correct|wrong|incorrect)\b", re.IGNORECASE)


def judged_wrong(verification: str) -> bool:
    """Whether the last judgement in a verification is that the answer is wrong; without one the answer stands."""
    found = _JUDGEMENT.findall(verification)
    return bool(found) and found[-1].lower() not in ("right", "correct")


@dataclass(frozen=True)
class VerifyThenRevise:
    """After each attempt a verification, which is no attempt; then the correction instruction, or the answer stands."""

    name: str = "pag"
    about: str = "PAG's dialogue: another attempt only where the own verification finds a fault."

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        attempt = yield Ask(task.first_prompt(problem))
        for _ in range(turns - 1):
            verification = yield Ask(({"role": "user", "content": VERIFY},), attempt=False)
            if judged_wrong(verification.text):
                attempt = yield Ask(({"role": "user", "content": task.correction},))
            else:
                yield Ask(keep=attempt)


method = VerifyThenRevise()
