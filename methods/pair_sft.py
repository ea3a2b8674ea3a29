"""Pair-SFT: imitates made-up corrections (Welleck et al. 2023, as SCoRe's paper compares with it).

Attempts of both turns are sampled from the base model. Each wrong one is paired with a random right one of the same
problem, as if the first had been corrected into the second, and the model is fine-tuned on the second. `pair-sft+` adds
pairs of two right attempts (the paper's D+), all that there are unless plus_ratio says how many. The model itself would
not make these edits, and it does not learn to make them.

As in the paper, training is one epoch over the pairs. It samples as many replies as the other methods, and its gradient
steps follow from how many pairs there are.
"""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from scorebench.api.chat import Chat
from scorebench.api.protocols import Ask, Dialogue, Method, Task, TrainingContext
from scorebench.api.types import Message, Problem, Reply
from scorebench.dialogue.player import seed_of
from scorebench.methods.base import intrinsic
from scorebench.methods.star import kept, sample_trajectories
from scorebench.training.presets import TURNS, preset
from scorebench.training.sft import SFTConfig, fine_tune, sft_config
from scorebench.training.trajectories import Example, Sample, Trajectories, write_examples, write_spent

Pairs = dict[str, array]  # by kind: the numbers of first and second attempts by turns, TURNS * dialogue + turn


def pairs(trajectories: Trajectories, config: SFTConfig, seed: int) -> tuple[Pairs, dict[str, int]]:
    """The pairs to imitate, and how many of each kind there are.

    A wrong attempt is the first of one pair, and with D+ a right one is too, where its problem has another right one.
    Attempts of both turns serve as either. Which right attempt is the second, and which right-right pairs are kept, is
    drawn from the seed.
    """
    draw = random.Random(seed)
    verdicts = bytearray(TURNS * len(trajectories))  # 0 where there is no verdict, 1 wrong, 2 right
    for number, trajectory in enumerate(trajectories):
        for turn, attempt in enumerate(trajectory.attempts):
            verdicts[TURNS * number + turn] = 1 + attempt.passed
    made: Pairs = {"wrong-right": array("q"), "right-right": array("q")}
    count = len(trajectories.problems)
    for problem in range(count):
        own = [TURNS * n + turn for n in range(problem, len(trajectories), count) for turn in range(TURNS)]
        right = [a for a in own if verdicts[a] == 2]
        for first in (a for a in own if verdicts[a]):
            kind = "right-right" if verdicts[first] == 2 else "wrong-right"
            seconds = [a for a in right if a != first]
            if seconds:
                made[kind].extend((first, draw.choice(seconds)))
    found = {kind: len(some) // 2 for kind, some in made.items()}
    chosen = draw.sample(range(found["right-right"]), kept(found["right-right"], found["wrong-right"], config))
    made["right-right"] = array("q", (made["right-right"][2 * n + end] for n in chosen for end in range(2)))
    return made, found


@dataclass(frozen=True)
class PairSFT:
    """The method. plus: the paper's D+."""

    name: str
    plus: bool
    about: str = ""
    budget_note: str = "One epoch over its pairs, as in the paper, whatever number of gradient steps that is."

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """The paper's dialogue."""
        return intrinsic(task, problem, turns)

    def preset(self, task: Task, embedded: bool) -> SFTConfig:
        """One epoch over pairs from the task's budget of replies."""
        return sft_config(preset(task, embedded), steps=None, epochs=1, plus=self.plus)

    def train(self, context: TrainingContext, config: SFTConfig) -> None:
        """Samples, pairs, fine-tunes."""
        trajectories = sample_trajectories(context, self, config, context.folder, config.dialogues)
        seed = seed_of(context.seed, self.name)
        made, found = pairs(trajectories, config, seed)
        write_spent(context.folder, trajectories, found, used={kind: len(some) // 2 for kind, some in made.items()})
        examples = write_examples(context.folder / "examples.jsonl", self._examples(context, trajectories, made))
        fine_tune(context, self, examples, config, context.folder, seed)

    def _examples(self, context: TrainingContext, trajectories: Trajectories, made: Pairs) -> Iterator[Example]:
        chat = Chat(context.tokenizer, context.system_prompt, context.template_args)
        for kind, some in made.items():
            for a, b in zip(some[::2], some[1::2], strict=True):
                problem = trajectories.problems[a // TURNS % len(trajectories.problems)]
                first, second = (trajectories[n // TURNS].attempts[n % TURNS] for n in (a, b))
                prompt = second_prompt(chat, self, context.task, problem, first)
                yield Example(problem.id, kind, first, second, prompt, second.token_ids)


def second_prompt(chat: Chat, method: Method, task: Task, problem: Problem, first: Sample) -> tuple[int, ...]:
    """The ids up to where a second attempt begins, in the method's dialogue, after this first attempt."""
    dialogue = method.dialogue(task, problem, 2)
    reply = Reply(first.text, token_ids=first.token_ids)
    start: Ask = next(dialogue)
    correction: tuple[Message, ...] = dialogue.send(reply).messages
    return chat.extend(chat.first(start.messages), reply, correction)


pair_sft = PairSFT("pair-sft", plus=False, about="Imitates made-up pairs of a wrong and a right answer (D).")
pair_sft_plus = PairSFT("pair-sft+", plus=True, about="Pair-SFT on D+: pairs of two right answers besides.")
