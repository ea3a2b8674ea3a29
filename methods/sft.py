"""SFT: fine-tunes on the solutions that a task's data set has, in the form that its prompt asks for.

It is the baseline that everybody has, and the warm-up from which a small model can be trained at all:

    scorebench train --method sft --task math --model M --out sft --set corrections=0.3
    scorebench run --method score --task math --model sft

corrections=SHARE makes that share of the examples second turns: a wrong attempt of the model's own, the task's
correction instruction, and the data set's solution, which alone has a loss. A small model that never saw such a turn
never corrects itself, and then reinforcement learning of corrections has nothing to reward.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from scorebench.api.chat import Chat
from scorebench.api.errors import UserError
from scorebench.api.progress import say
from scorebench.api.protocols import Dialogue, Task, TrainingContext
from scorebench.api.types import Problem
from scorebench.dialogue.player import seed_of
from scorebench.engines.loading import end_ids
from scorebench.methods.base import intrinsic
from scorebench.methods.pair_sft import second_prompt
from scorebench.methods.star import sample_trajectories
from scorebench.training.presets import preset
from scorebench.training.sft import SFTConfig, fine_tune, sft_config
from scorebench.training.trajectories import Example, Trajectories, write_examples, write_spent

_EPOCHS = 3  # customary for fine-tuning on solutions


class GoldConfig(SFTConfig):
    """How solutions are imitated.

    corrections: share of the examples that are second turns. Where it is 0 nothing is sampled; else `dialogues` first
        attempts are, or `samples` on each problem if those are fewer.
    """

    corrections: Annotated[float, Field(ge=0, lt=1)] = 0.0

    @property
    def replies(self) -> int:
        """The most replies that are sampled."""
        return self.dialogues if self.corrections else 0


@dataclass(frozen=True)
class SFT:
    """The method."""

    name: str = "sft"
    about: str = "Fine-tunes on the data set's solutions: a baseline, a warm-up for small models."
    budget_note: str = (
        "Learns from the data set's solutions: three epochs over them, and no reply of its own is needed."
    )

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """The paper's dialogue."""
        return intrinsic(task, problem, turns)

    def preset(self, task: Task, embedded: bool) -> GoldConfig:
        """Three epochs, with the batch and the learning rate that all fine-tuning has."""
        values = sft_config(preset(task, embedded), steps=None, epochs=_EPOCHS, samples=1).model_dump()
        return GoldConfig(**values)

    def train(self, context: TrainingContext, config: GoldConfig) -> None:
        """Samples wrong attempts where they are asked for, writes the examples, fine-tunes."""
        golds = Golds(context, config.max_tokens)
        wrong = self._wrong_attempts(context, config, golds) if config.corrections else None
        corrections = round(config.corrections / (1 - config.corrections) * len(golds.problems))
        examples = write_examples(context.folder / "examples.jsonl", self._examples(golds, wrong, corrections))
        fine_tune(context, self, examples, config, context.folder, seed_of(context.seed, self.name))

    def _wrong_attempts(self, context: TrainingContext, config: GoldConfig, golds: Golds) -> tuple[Trajectories, array]:
        """First attempts of the model, and the numbers of those that are wrong and whose problem has a solution."""
        dialogues = min(config.dialogues, config.samples * len(context.problems))
        trajectories = sample_trajectories(context, self, config, context.folder, dialogues, turns=1)
        wrong = array("q")
        for number, trajectory in enumerate(trajectories):
            if trajectory.attempts and not trajectory.attempts[0].passed and trajectory.problem in golds.problems:
                wrong.append(number)
        write_spent(context.folder, trajectories, found={"wrong": len(wrong)}, used={"wrong": len(wrong)})
        if not wrong:
            raise UserError(
                f"{self.name}: none of {dialogues} sampled attempts is wrong, so there is nothing to correct; "
                "leave corrections out, or take harder problems."
            )
        order = list(wrong)
        random.Random(seed_of(context.seed, self.name, "wrong")).shuffle(order)
        return trajectories, array("q", order)

    def _examples(self, golds: Golds, wrong: tuple[Trajectories, array] | None, corrections: int) -> Iterator[Example]:
        """A first turn for each solution, then the second turns; wrong attempts come again if they are too few."""
        for problem in golds.problems.values():
            yield Example(problem.id, "gold", None, None, golds.prompt(problem), golds.ids(problem))
        if wrong is None:
            return
        trajectories, numbers = wrong
        for at in range(corrections):
            trajectory = trajectories[numbers[at % len(numbers)]]
            problem, first = golds.problems[trajectory.problem], trajectory.attempts[0]
            prompt = second_prompt(golds.chat, self, golds.task, problem, first)
            yield Example(problem.id, "correction", first, None, prompt, golds.ids(problem))


class Golds:
    """The solutions of the train split, as ids. Those with more than `longest` tokens are left out, and that is said.

    Raises UserError where the task has no solutions, or only ones that are too long.
    """

    def __init__(self, context: TrainingContext, longest: int) -> None:
        self.task = context.task
        self.chat = Chat(context.tokenizer, context.system_prompt, context.template_args)
        self.end = _end_of_turn(context, self.chat)
        solution = getattr(self.task, "solution", None) or getattr(self.task, "gold", None)
        if solution is None:
            raise UserError(f"The task {self.task.name} has no solutions to fine-tune on; give it solution(problem).")
        self.solution = solution
        self.problems = {p.id: p for p in context.problems if len(self.ids(p)) <= longest}
        if len(self.problems) < len(context.problems):
            say(
                f"{len(context.problems) - len(self.problems)} of {len(context.problems)} solutions have more than "
                f"{longest} tokens and are left out; --set max_tokens=N takes longer ones."
            )
        if not self.problems:
            raise UserError(f"No solution of {self.task.name} has at most {longest} tokens; raise --set max_tokens=N.")

    def prompt(self, problem: Problem) -> tuple[int, ...]:
        """The ids before a first attempt."""
        return self.chat.first(self.task.first_prompt(problem))

    def ids(self, problem: Problem) -> tuple[int, ...]:
        """The solution, and the token that ends a turn."""
        return (*self.chat.answer_ids(self.solution(problem)), self.end)


def _end_of_turn(context: TrainingContext, chat: Chat) -> int:
    """The token that ends an answer: what the chat template puts behind one, or else the tokenizer's end of text."""
    ends = end_ids(getattr(context.policy, "generation_config", None), context.tokenizer)
    glue = chat.glue_ids((("user", context.task.correction),))
    return glue[0] if glue and glue[0] in ends else context.tokenizer.eos_token_id


method = SFT()
