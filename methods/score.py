"""SCoRe: self-correction by multi-turn reinforcement learning, in two stages (Kumar et al., arXiv 2409.12917).

The model answers, is told that there might be an error, and answers again. If both answers are simply rewarded, it
learns the easy thing, a good first answer and a copy of it, and stops correcting. SCoRe has two stages against that:

    Stage I   rewards attempt 2 alone, and holds attempt 1 near the base model with a strict KL. So the second attempt
              must learn to improve on first attempts as the base model makes them.
    Stage II  rewards both attempts, and pays attempt 2 alpha * (r2 - r1) for the change. So a dialogue that improves is
              worth more than two right answers that are the same.

What the tokens of each attempt are paid, and with which KL, is a row of numbers (Stage, training/objective.py); every
ablation of the paper is another row. A step of either stage is: play dialogues with the policy as it is, grade them,
take one gradient step. All of SCoRe is in this file and in the four that it calls:

    training/rollout.py      the dialogues, and their ids as sampled
    training/objective.py    rewards, baselines, loss: the formulas
    training/update.py       one gradient step in micro-batches
    training/checkpoint.py   the best weights, and how a killed training goes on

The paper keeps the weights of the highest training reward. Here that is the reward without alpha's part.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from scorebench.api import event_loop
from scorebench.api.progress import Progress, progress
from scorebench.api.protocols import Dialogue, PolicyEngine, Task, TrainingContext
from scorebench.api.types import Problem, Sampling
from scorebench.dialogue.player import Player, seed_of
from scorebench.methods.base import intrinsic
from scorebench.methods.star import imitate_own_corrections
from scorebench.training.checkpoint import StageState
from scorebench.training.fsdp import gathered
from scorebench.training.monitor import Monitor
from scorebench.training.objective import Stage, turn_rewards
from scorebench.training.optimizer import adam
from scorebench.training.presets import TURNS, Preset, preset
from scorebench.training.rollout import Rollout, as_given, collect, joined, outcomes
from scorebench.training.sft import SFTConfig, sft_config
from scorebench.training.update import UpdateStats, update
from scorebench.training.weights import frozen_copy


class ScoreConfig(BaseModel):
    """Everything that defines a training.

    stages: by name, in order; each begins with the best weights of the one before. One of them is an SFTConfig in the
        ablation that puts STaR in Stage II's place.
    problems, samples: a step plays `samples` dialogues on each of `problems` problems.
    offline: share of the dialogues that get a first attempt of the base model. Such an attempt is given, and only the
        second one is trained on: the policy learns to correct more kinds of first attempts. The replies that are saved
        go into more first attempts of the policy (`shares`). The paper gives no share; 0 is all on-policy.
    max_grad_norm: the norm to which a gradient is clipped; None does not clip.
    pay_echoes: an attempt that passes by repeating a formula of the problem is paid.
    token_budget: tokens in memory at once in an update; it changes no result beyond rounding.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    stages: dict[str, Stage | SFTConfig]
    problems: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=2)]
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    offline: Annotated[float, Field(ge=0, le=1)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] | None = None
    pay_echoes: bool = False
    token_budget: Annotated[int, Field(ge=1)] = 8192

    @model_validator(mode="after")
    def _offline_has_baselines(self) -> ScoreConfig:
        own, given, _ = self.shares(TURNS)
        if self.offline and (not given or own + given < 2):
            raise ValueError(f"offline={self.offline:g} leaves no two dialogues to compare; raise samples")
        return self

    def shares(self, turns: int) -> tuple[int, int, int]:
        """Of a problem's dialogues in a step: those of the policy alone, those with a given first attempt, and those of
        one attempt. Together they sample as many replies as `samples` dialogues of the policy alone do.
        """
        own = round((1 - self.offline) * self.samples) if turns > 1 else self.samples
        replies = turns * (self.samples - own)
        given = replies // (turns + 1)
        return own, given, replies - turns * given

    @property
    def steps(self) -> int:
        """Gradient steps of all stages; those of a stage in epochs are not known before."""
        return sum(stage.steps or 0 for stage in self.stages.values())

    @property
    def replies(self) -> int:
        """Replies sampled in all stages."""
        batch = self.problems * self.samples
        return sum(
            stage.replies if isinstance(stage, SFTConfig) else stage.steps * batch * stage.turns
            for stage in self.stages.values()
        )


def from_preset(numbers: Preset) -> ScoreConfig:
    """Both stages, each of half the steps."""
    half, rate = numbers.steps // 2, numbers.learning_rate
    stage1 = Stage(reward=(0, 1), kl=numbers.stage1_kl, steps=half, learning_rate=rate)
    stage2 = Stage(
        reward=(1, 1), kl=numbers.stage2_kl, alpha=numbers.alpha, steps=numbers.steps - half, learning_rate=rate
    )
    return ScoreConfig(
        stages={"stage1": stage1, "stage2": stage2},
        problems=numbers.problems,
        samples=numbers.samples,
        max_tokens=numbers.max_tokens,
        max_grad_norm=numbers.max_grad_norm,
    )


@dataclass(frozen=True)
class Score:
    """The method: the base model's dialogue, after training. build: from a task's numbers to the configuration."""

    name: str = "score"
    build: Callable[[Preset], ScoreConfig] = from_preset
    about: str = "SCoRe: reinforcement learning in two stages, with a reward for the change."
    budget_note: str = ""

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        """The paper's dialogue."""
        return intrinsic(task, problem, turns)

    def preset(self, task: Task, embedded: bool) -> ScoreConfig:
        """The configuration with the task's numbers."""
        return self.build(preset(task, embedded))

    def train(self, context: TrainingContext, config: ScoreConfig) -> None:
        """All stages, one after the other."""
        later = config.steps
        for name, stage in config.stages.items():
            later -= stage.steps or 0
            if isinstance(stage, SFTConfig):
                imitate_own_corrections(context, self, stage, context.folder / name)
            else:
                with progress(f"{self.name}, {name}", stage.steps) as tell:
                    event_loop.run(self._stage(context, config, name, stage, later, tell))

    async def _stage(
        self, context: TrainingContext, config: ScoreConfig, name: str, stage: Stage, later: int, tell: Progress
    ) -> None:
        """One stage of reinforcement learning. later: gradient steps of the stages after it."""
        policy = context.policy
        reference = frozen_copy(policy) if stage.reference == "start" else context.reference
        optimizer = adam(policy, stage.learning_rate)
        state = StageState(context.folder / name, policy, optimizer, kl_T=[0.0] * stage.turns)
        monitor = Monitor(context, self, state, stage.steps, stage.turns, config, later)
        state.resume()
        limits = (config.temperature, config.token_budget, config.max_grad_norm)
        engine = context.engine()
        if name == next(iter(config.stages)):
            await monitor.show_base(engine, next(context.batches(config.problems, name, 0)), config.samples)
        for problems in context.batches(config.problems, name, state.step):
            if monitor.is_due():
                await monitor.evaluate(engine)
            if state.step >= stage.steps:
                break
            start = time.monotonic()
            await engine.push(policy)
            seed = seed_of(context.seed, name, state.step)
            rollout = await self._rollout(context, config, stage, engine, problems, seed)
            engine.forget()  # the update needs the memory
            played = time.monotonic()
            stats = update(policy, reference, optimizer, rollout, stage, state.kl_T, *limits)
            row = _row(rollout, stage, stats, played - start, time.monotonic() - played)
            # Without alpha's part: with it, the highest reward is where attempt 1 is worst, so early weights would win.
            reward = sum(weight * share for weight, share in zip(stage.reward, row["correct"], strict=True))
            monitor.advance(reward, stats.kl_T, row, rollout, stage)
            right = " -> ".join(f"{100 * share:.0f}" for share in row["correct"])
            drift = ", ".join(f"{kl:.2f}" for kl in stats.kl_T)
            copies = 100 * row["unchanged"]
            tell(state.step, f"right {right} %, KL by turn {drift}, copies {copies:.0f} %")
        state.finish()

    async def _rollout(
        self,
        context: TrainingContext,
        config: ScoreConfig,
        stage: Stage,
        engine: PolicyEngine,
        problems: list[Problem],
        seed: int,
    ) -> Rollout:
        """The dialogues of a step. With `offline`, some have a first attempt of the base, and some have one attempt."""
        sampling = Sampling(temperature=config.temperature, max_tokens=config.max_tokens)
        player = Player(self, context.task, engine, sampling, stage.turns, seed, context.graders)
        own, given, single = config.shares(stage.turns)
        if not given:
            return await collect(player, problems, config.samples, pay_echoes=config.pay_echoes)
        alone = replace(player, turns=1, seed=seed_of(seed, "offline"))
        with gathered(context.reference):
            base = replace(alone, engine=context.hf_engine(context.reference))
            firsts = [as_given(e.attempts[0]) for e in (await collect(base, problems, given)).episodes]
        places = [[*firsts[at : at + given], *[None] * own] for at in range(0, len(firsts), given)]
        flat = [first for problem in places for first in problem]
        dialogues = await collect(player, problems, own + given, flat, config.pay_echoes)
        return joined(dialogues, await collect(alone, problems, single, pay_echoes=config.pay_echoes))


def _row(rollout: Rollout, stage: Stage, stats: UpdateStats, rollout_seconds: float, update_seconds: float) -> dict:
    """What a step's line in steps.jsonl says beside its number and its reward; lists are by turn."""
    mask_PKT = rollout.loss_mask_PKT
    rewards_T = (turn_rewards(rollout.correct_PKT, stage) * mask_PKT).sum((0, 1)) / mask_PKT.sum((0, 1)).clamp(min=1)
    row = outcomes(rollout) | {name.removesuffix("_T"): value for name, value in vars(stats).items()}
    return row | {
        "shaped_reward": rewards_T.sum().item(),
        "examples": len(rollout.episodes),
        "rollout_seconds": rollout_seconds,
        "update_seconds": update_seconds,
        "tokens_per_second": row["sampled_tokens"] / (rollout_seconds + update_seconds),
    }


score = Score()

# The paper's ablations: the same method with another row of numbers. budget_note says where the budget is not SCoRe's.


def _stages(config: ScoreConfig, **stages: Stage | SFTConfig) -> ScoreConfig:
    return config.model_copy(update={"stages": stages})


def _rl(config: ScoreConfig, name: str) -> Stage:
    stage = config.stages[name]
    assert isinstance(stage, Stage)
    return stage


def _no_stage1(numbers: Preset) -> ScoreConfig:
    config = from_preset(numbers)
    return _stages(config, stage2=_rl(config, "stage2").model_copy(update={"steps": config.steps}))


def _no_shaping(numbers: Preset) -> ScoreConfig:
    return from_preset(numbers._replace(alpha=0.0))


def _multi_turn(numbers: Preset) -> ScoreConfig:
    return _no_stage1(numbers._replace(alpha=0.0))


def _single_turn(numbers: Preset) -> ScoreConfig:
    """Dialogues of one attempt, on twice as many problems: as many replies as two attempts each."""
    config = from_preset(numbers)
    alone = Stage(reward=(1,), kl=numbers.stage2_kl[:1], steps=config.steps, learning_rate=numbers.learning_rate)
    return _stages(config, rl=alone).model_copy(update={"problems": TURNS * numbers.problems})


def _offline(numbers: Preset) -> ScoreConfig:
    return from_preset(numbers).model_copy(update={"offline": 1.0})


def _star_stage2(numbers: Preset) -> ScoreConfig:
    """One stage of RL, then STaR for as many dialogues and steps as Stage II had."""
    config = from_preset(numbers)
    steps = _rl(config, "stage2").steps
    star = sft_config(numbers, rounds=3, dialogues=steps * numbers.batch, steps=steps)
    return _stages(config, stage1=_rl(config, "stage1"), stage2=star)


def _three_turns(numbers: Preset) -> ScoreConfig:
    """ICLR version, appendix A.1: teach attempt 2, then attempt 3 with both before it held, then reward all."""
    config = from_preset(numbers)
    stage1, stage2 = _rl(config, "stage1"), _rl(config, "stage2")
    strict, light = stage1.kl
    half = stage1.steps // 2
    second = {"reward": (0, 0, 1), "kl": (strict, strict, light), "reference": "start", "steps": stage1.steps - half}
    return _stages(
        config,
        stage1a=stage1.model_copy(update={"steps": half}),
        stage1b=stage1.model_copy(update=second),
        stage2=stage2.model_copy(update={"reward": (1, 1, 1), "kl": (*stage2.kl, stage2.kl[-1])}),
    )


no_stage1 = Score("score-no-stage1", _no_stage1, about="SCoRe without Stage I: all steps are Stage II's.")
no_shaping = Score("score-no-shaping", _no_shaping, about="SCoRe without the reward for the change in Stage II.")
star_stage2 = Score("score-star-stage2", _star_stage2, about="SCoRe with STaR in the place of Stage II.")
offline = Score("score-offline", _offline, about="SCoRe that learns to correct the base model's first attempts.")
single_turn = Score("rl-single-turn", _single_turn, about="Reinforcement learning of attempt 1 alone.")
multi_turn = Score("rl-multi-turn", _multi_turn, about="Reinforcement learning of both attempts: no Stage I, alpha 0.")
three_turns = Score(
    "score-three-turns",
    _three_turns,
    about="SCoRe for three attempts: Stage I in two parts.",
    budget_note="Its dialogues have three attempts in two of three stages: as many dialogues and steps, more replies.",
)
