"""The numbers that every method's training on a task begins from, so that all methods have the same budget."""

from __future__ import annotations

from typing import NamedTuple

from scorebench.api.protocols import Task


class Preset(NamedTuple):
    """SCoRe's hyperparameters for a task; the other methods take their number of dialogues and gradient steps from it.

    steps: gradient steps of all stages. problems, samples: a step plays `samples` dialogues on each of `problems`.
    stage1_kl, stage2_kl: the KL weight of each turn. alpha: the weight of the improvement bonus in Stage II.
    sft_learning_rate, sft_batch: of the methods that fine-tune on examples; the paper gives neither.
    """

    steps: int
    problems: int
    samples: int
    learning_rate: float
    stage1_kl: tuple[float, float]
    stage2_kl: tuple[float, float] = (0.01, 0.01)
    alpha: float = 10.0
    max_tokens: int = 1024
    sft_learning_rate: float = 1e-5
    sft_batch: int = 64

    @property
    def dialogues(self) -> int:
        """Dialogues sampled in all steps."""
        return self.steps * self.problems * self.samples


# The paper's table of hyperparameters. It does not state the split of the steps between the stages, the samples of a
# problem, or what the batch counts: here the steps are halved, a problem has 4 samples, and the batch counts dialogues.
MATH = Preset(steps=3000, problems=512 // 4, samples=4, learning_rate=5e-6, stage1_kl=(0.1, 0.01))
MBPP = Preset(steps=1500, problems=128 // 4, samples=4, learning_rate=1e-5, stage1_kl=(0.25, 0.01))
PAPER = {"math": MATH, "mbpp": MBPP}

EMBEDDED = Preset(
    steps=100,
    problems=16,
    samples=8,
    learning_rate=3e-4,
    stage1_kl=(3.0, 0.01),
    stage2_kl=(0.02, 0.01),
    max_tokens=96,
    sft_learning_rate=1e-4,
)


def preset(task: Task, embedded: bool) -> Preset:
    """The numbers for a task: the paper's where it has the task, else those of MATH."""
    return EMBEDDED if embedded else PAPER.get(task.trained_on, MATH)
