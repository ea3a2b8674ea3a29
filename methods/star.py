"""STaR: imitates its own corrections that came out right (Zelikman et al. 2022, as SCoRe's paper compares with it).

Two-turn dialogues are sampled from the current model; those with a wrong first and a right second attempt are kept, and
the base model is fine-tuned on their second attempts; three rounds, each beginning from the base model again as in
STaR's own paper. `star+` adds right-right dialogues (D+). What it learns is to imitate corrections on first attempts of
another distribution, and mostly not to edit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scorebench.api import event_loop
from scorebench.api.protocols import Dialogue, Method, Task, TrainingContext
from scorebench.api.types import Problem, Sampling
from scorebench.dialogue.player import Player, seed_of
from scorebench.methods.base import intrinsic
from scorebench.training.sft import SFTConfig, fine_tune, sft_config
from scorebench.training.trajectories import Example, Trajectory, collect_trajectories, write_examples
from scorebench.training.weights import restore, snapshot


def sample_trajectories(
    context: TrainingContext, method: Method, config: SFTConfig, folder: Path, dialogues: int
) -> list[Trajectory]:
    """Two-turn dialogues of the policy as it is, at the configuration's temperature."""
    engine = context.engine()
    sampling = Sampling(temperature=config.temperature, max_tokens=config.max_tokens)
    player = Player(method, context.task, engine, sampling, 2, seed_of(context.seed, folder.name), context.graders)
    problems = next(context.batches(max(1, dialogues // config.samples), folder.name, 0))

    async def play() -> list[Trajectory]:
        await engine.push(context.policy)
        return await collect_trajectories(folder / "dialogues.jsonl", player, problems, dialogues)

    return event_loop.run(play())


def own_corrections(trajectories: Sequence[Trajectory], plus: bool) -> list[Example]:
    """The wrong-right dialogues, and with `plus` as many right-right ones, in the order of the trajectories."""
    wrong_right = [t for t in trajectories if not t.attempts[0].passed and t.attempts[1].passed]
    right_right = [t for t in trajectories if t.attempts[0].passed and t.attempts[1].passed]
    kept = {"wrong-right": wrong_right, "right-right": right_right[: len(wrong_right)] if plus else []}
    return [
        Example(t.problem, kind, first, second, second.prompt_ids, second.token_ids)
        for kind, some in kept.items()
        for t in some
        for first, second in [t.attempts]
    ]


def imitate_own_corrections(context: TrainingContext, method: Method, config: SFTConfig, folder: Path) -> None:
    """All rounds. The policy as it comes in is what every round begins from; also SCoRe's ablation of Stage II."""
    start = snapshot(context.policy)
    for number in range(1, config.rounds + 1):
        place = folder / f"round{number}"
        trajectories = sample_trajectories(context, method, config, place, config.dialogues // config.rounds)
        examples = own_corrections(trajectories, config.plus)
        write_examples(place / "examples.jsonl", examples)
        restore(context.policy, start)
        title = f"{method.name}, round {number}"
        fine_tune(context.policy, examples, config, place, seed_of(context.seed, place.name), title)


@dataclass(frozen=True)
class Star:
    """The method. plus: the paper's D+."""

    name: str
    plus: bool
    about: str = ""

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        return intrinsic(task, problem, turns)

    def preset(self, task: Task, embedded: bool) -> SFTConfig:
        return sft_config(task, embedded, rounds=3, plus=self.plus)

    def train(self, context: TrainingContext, config: SFTConfig) -> None:
        imitate_own_corrections(context, self, config, context.folder)


star = Star("star", plus=False, about="STaR: imitates its own corrections from wrong to right (D).")
star_plus = Star("star+", plus=True, about="STaR on D+: as many right answers that stayed right besides.")
