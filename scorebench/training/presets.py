"""The numbers that every method's training on a task begins from, so that all methods have the same budget."""

from __future__ import annotations

from typing import NamedTuple

from scorebench.api.protocols import Task

TURNS = 2  # attempts of a dialogue, and so its sampled replies


class Preset(NamedTuple):
    """The budget and the hyperparameters of a task. Every method that trains takes its numbers from here.

    steps: gradient steps of all stages. problems, samples: a step plays `samples` dialogues on each of `problems`.
    stage1_kl, stage2_kl: the KL weight of each turn. alpha: the weight of the change in Stage II.
    sft_learning_rate: of all fine-tuning on examples; the paper gives none.
    max_grad_norm: the norm to which a gradient is clipped. The paper states no clipping; 1.0 is what is customary.
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
    max_grad_norm: float | None = 1.0

    @property
    def batch(self) -> int:
        """Dialogues in a step of reinforcement learning, and examples in a step of fine-tuning."""
        return self.problems * self.samples

    @property
    def dialogues(self) -> int:
        """Dialogues sampled in all steps."""
        return self.steps * self.batch

    @property
    def replies(self) -> int:
        """Replies sampled in all steps."""
        return TURNS * self.dialogues


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
