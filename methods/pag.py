"""Verify, then revise: another attempt only where the own verification says that the last one is wrong.

The dialogue of PAG (arXiv 2506.10406), in which one model is policy and verifier in turn. Only the dialogue: its
training is not built here, so this shows what selective revision is worth to a model as it is. The prompt is ours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scorebench.api.protocols import Ask, Dialogue, Task
from scorebench.api.types import Problem

VERIFY = "Verify the answer above: put it back into the problem step by step, and say at the end whether it is right."
# A judging word with its negation, up to two words before it: "isn't right", "not quite correct", "nothing is wrong".
_JUDGEMENT = re.compile(
    r"(?P<negation>(?:\b(?:not|cannot|never|nothing|neither|hardly)|n['’]t)\s+(?:[\w'’]+\s+){0,2}?)?"
    r"\b(?P<word>right|correct|wrong|incorrect)\b",
    re.IGNORECASE,
)


def judged_wrong(verification: str) -> bool:
    """Whether the last judgement in a verification is that the answer is wrong; without one the answer stands."""
    judgements = list(_JUDGEMENT.finditer(verification))
    if not judgements:
        return False
    says_wrong = judgements[-1]["word"].lower() in ("wrong", "incorrect")
    return says_wrong != bool(judgements[-1]["negation"])


@dataclass(frozen=True)
class VerifyThenRevise:
    """After each attempt a verification, which is no attempt; then the correction instruction, or the answer stands."""

    name: str = "pag"
    about: str = "PAG's dialogue: another attempt only where the own verification finds a fault."

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """An attempt; then for each further turn a verification, and a new attempt or the last one again."""
        attempt = yield Ask(task.first_prompt(problem))
        for _ in range(turns - 1):
            verification = yield Ask(({"role": "user", "content": VERIFY},), attempt=False)
            if judged_wrong(verification.text):
                attempt = yield Ask(({"role": "user", "content": task.correction},))
            else:
                yield Ask(keep=attempt)


method = VerifyThenRevise()
