"""STaR: imitates its own corrections that came out right (Zelikman et al. 2022, as SCoRe's paper compares with it).

Two-turn dialogues are sampled from the current model. Those with a wrong first and a right second attempt are kept, and
the base model is fine-tuned on their second attempts. There are three rounds; each begins from the base model again, as
in STaR's own paper. `star+` adds dialogues whose attempts are both right (the paper's D+), all that were sampled unless
plus_ratio says how many. What STaR learns is to imitate corrections of first attempts that its trained model no longer
makes, and mostly it learns not to edit.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scorebench.api import event_loop
from scorebench.api.protocols import Dialogue, Method, Task, TrainingContext
from scorebench.api.types import Problem, Sampling
from scorebench.dialogue.player import Player, seed_of
from scorebench.methods.base import intrinsic
from scorebench.training.presets import TURNS, preset
from scorebench.training.sft import SFTConfig, fine_tune, sft_config, share_of
from scorebench.training.trajectories import (
    Example,
    Trajectories,
    Trajectory,
    collect_trajectories,
    write_examples,
    write_spent,
)
from scorebench.training.weights import restore, snapshot


def sample_trajectories(
    context: TrainingContext, method: Method, config: SFTConfig, folder: Path, dialogues: int, turns: int = TURNS
) -> Trajectories:
    """Dialogues of the policy as it is, at the configuration's temperature."""
    engine = context.engine()
    sampling = Sampling(temperature=config.temperature, max_tokens=config.max_tokens)
    player = Player(method, context.task, engine, sampling, turns, seed_of(context.seed, folder.name), context.graders)
    count = min(len(context.problems), max(1, dialogues // config.samples))
    problems = next(context.batches(count, folder.name, 0))

    async def play() -> Trajectories:
        await engine.push(context.policy)
        return await collect_trajectories(folder / "dialogues.jsonl", player, problems, dialogues, config.pay_echoes)

    return event_loop.run(play())


def kept(right_right: int, wrong_right: int, config: SFTConfig) -> int:
    """How many of the right-right examples are imitated: D has none, D+ as many as plus_ratio says."""
    if not config.plus:
        return 0
    return right_right if config.plus_ratio is None else min(right_right, round(config.plus_ratio * wrong_right))


def own_corrections(trajectories: Sequence[Trajectory], config: SFTConfig) -> tuple[dict[str, array], dict[str, int]]:
    """The numbers of the dialogues to imitate, by kind and in their order, and how many of each kind there are."""
    numbers = {"wrong-right": array("q"), "right-right": array("q")}
    for number, trajectory in enumerate(trajectories):
        if trajectory.attempts and trajectory.attempts[1].passed:
            kind = "right-right" if trajectory.attempts[0].passed else "wrong-right"
            numbers[kind].append(number)
    found = {kind: len(some) for kind, some in numbers.items()}
    del numbers["right-right"][kept(found["right-right"], found["wrong-right"], config) :]
    return numbers, found


def imitate_own_corrections(context: TrainingContext, method: Method, config: SFTConfig, folder: Path) -> None:
    """All rounds, each from the policy as it comes in. This is also SCoRe's ablation of Stage II."""
    start = snapshot(context.policy)
    for number in range(1, config.rounds + 1):
        place = folder / f"round{number}"
        dialogues = share_of(config.dialogues, number, config.rounds)
        trajectories = sample_trajectories(context, method, config, place, dialogues)
        numbers, found = own_corrections(trajectories, config)
        write_spent(place, trajectories, found, used={kind: len(some) for kind, some in numbers.items()})
        examples = write_examples(place / "examples.jsonl", _examples(trajectories, numbers))
        restore(context.policy, start)
        fine_tune(context, method, examples, config, place, seed_of(context.seed, place.name), number)


def _examples(trajectories: Sequence[Trajectory], numbers: dict[str, array]) -> Iterator[Example]:
    for kind, some in numbers.items():
        for number in some:
            first, second = trajectories[number].attempts
            yield Example(trajectories[number].problem, kind, first, second, second.prompt_ids, second.token_ids)


@dataclass(frozen=True)
class Star:
    """The method. plus: the paper's D+."""

    name: str
    plus: bool
    about: str = ""
    budget_note: str = ""

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """The paper's dialogue."""
        return intrinsic(task, problem, turns)

    def preset(self, task: Task, embedded: bool) -> SFTConfig:
        """Three rounds within the task's budget."""
        return sft_config(preset(task, embedded), rounds=3, plus=self.plus)

    def train(self, context: TrainingContext, config: SFTConfig) -> None:
        """All rounds."""
        imitate_own_corrections(context, self, config, context.folder)


star = Star("star", plus=False, about="STaR: imitates its own corrections from wrong to right (D).")
star_plus = Star("star+", plus=True, about="STaR on D+: right answers that stayed right besides.")
