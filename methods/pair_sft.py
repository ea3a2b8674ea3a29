"""Pair-SFT: imitates made-up corrections (Welleck et al. 2023, as SCoRe's paper compares with it).

Attempts of both turns are sampled from the base model; each wrong one is paired with a random right one of the same
problem, as if the one had been corrected into the other, and the model is fine-tuned on the second. `pair-sft+` adds
right-right pairs (D+). The pairs are edits that the model itself would not make, and it does not learn to make them.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from scorebench.api.chat import Chat
from scorebench.api.protocols import Ask, Dialogue, Task, TrainingContext
from scorebench.api.types import Message, Problem, Reply
from scorebench.dialogue.player import seed_of
from scorebench.methods.base import intrinsic
from scorebench.methods.star import sample_trajectories
from scorebench.training.sft import SFTConfig, fine_tune, sft_config
from scorebench.training.trajectories import Example, Sample, Trajectory, write_examples


def pairs(trajectories: Sequence[Trajectory], plus: bool, seed: int) -> list[tuple[str, str, Sample, Sample]]:
    """(problem, kind, first, second) for each wrong attempt whose problem has a right one; with `plus` right-right too.

    Attempts of both turns serve as either; a right one is not paired with itself.
    """
    attempts: dict[str, list[Sample]] = defaultdict(list)
    for trace in trajectories:
        attempts[trace.problem] += trace.attempts
    draw = random.Random(seed)
    made: dict[str, list[tuple[str, str, Sample, Sample]]] = {"wrong-right": [], "right-right": []}
    for problem, said in attempts.items():
        right = [a for a in said if a.passed]
        for first in said:
            kind = "right-right" if first.passed else "wrong-right"
            seconds = [a for a in right if a is not first]
            if seconds:
                made[kind].append((problem, kind, first, draw.choice(seconds)))
    draw.shuffle(made["right-right"])
    return made["wrong-right"] + (made["right-right"][: len(made["wrong-right"])] if plus else [])


@dataclass(frozen=True)
class PairSFT:
    """The method. plus: the paper's D+."""

    name: str
    plus: bool
    about: str = ""

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        return intrinsic(task, problem, turns)

    def preset(self, task: Task, embedded: bool) -> SFTConfig:
        return sft_config(task, embedded, rounds=1, plus=self.plus)

    def train(self, context: TrainingContext, config: SFTConfig) -> None:
        trajectories = sample_trajectories(context, self, config, context.folder, config.dialogues)
        seed = seed_of(context.seed, self.name)
        chat = Chat(context.tokenizer, context.system_prompt, context.template_args)
        problems = {problem.id: problem for problem in context.problems}
        examples = [
            Example(
                problem,
                kind,
                first,
                second,
                self._prompt(chat, context.task, problems[problem], first),
                second.token_ids,
            )
            for problem, kind, first, second in pairs(trajectories, config.plus, seed)
        ]
        write_examples(context.folder / "examples.jsonl", examples)
        fine_tune(context.policy, examples, config, context.folder, seed, self.name)

    def _prompt(self, chat: Chat, task: Task, problem: Problem, first: Sample) -> tuple[int, ...]:
        """The dialogue of evaluation, in which `first` was the first attempt and a second is asked for."""
        dialogue = self.dialogue(task, problem, 2)
        reply = Reply(first.text, token_ids=first.token_ids)
        start: Ask = next(dialogue)
        correction: tuple[Message, ...] = dialogue.send(reply).messages
        return chat.extend(chat.first(start.messages), reply, correction)


pair_sft = PairSFT("pair-sft", plus=False, about="Imitates made-up pairs of a wrong and a right answer (D).")
pair_sft_plus = PairSFT("pair-sft+", plus=True, about="Pair-SFT on D+: as many pairs of two right answers besides.")
