"""SCoRe: self-correction by multi-turn reinforcement learning, in two stages (Kumar et al., arXiv 2409.12917).

The model answers, is told that there might be an error, and answers again. Trained plainly for both answers it learns
the easy thing, a good first answer and its copy, and stops correcting. SCoRe takes two stages against that:

    Stage I   rewards attempt 2 alone, and holds attempt 1 near the base model with a strict KL: so the second attempt
              must learn to gain from first attempts as the base model makes them, and cannot be fed better ones.
    Stage II  rewards both attempts, and pays attempt 2 a bonus of alpha * (r2 - r1) for the change: so that a dialogue
              that improves is worth more than two right answers that are the same.

What the tokens of each attempt are paid, with which KL, is a row of numbers (Stage, training/objective.py); every
ablation of the paper is another row. A step of either stage is: play dialogues with the policy as it is, grade them,
take one gradient step. All of SCoRe is in this file and in the four that it calls:

    training/rollout.py      the dialogues, and their ids as sampled
    training/objective.py    rewards, baselines, loss: the formulas
    training/update.py       one gradient step in micro-batches
    training/checkpoint.py   the best weights, and where a killed training goes on

The paper keeps the weights of the highest training reward. Here that is the reward without the bonus.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from scorebench.api import event_loop
from scorebench.api.progress import Progress, progress
from scorebench.api.protocols import Dialogue, PolicyEngine, Task, TrainingContext
from scorebench.api.types import Problem, Sampling
from scorebench.dialogue.player import Player, seed_of
from scorebench.methods.base import intrinsic
from scorebench.methods.star import imitate_own_corrections
from scorebench.training.checkpoint import StageState
from scorebench.training.fsdp import gathered
from scorebench.training.objective import Stage, turn_rewards
from scorebench.training.optimizer import adam
from scorebench.training.presets import Preset, preset
from scorebench.training.rollout import Rollout, collect, first_attempts, joined
from scorebench.training.sft import SFTConfig
from scorebench.training.update import UpdateStats, update
from scorebench.training.weights import frozen_copy


class ScoreConfig(BaseModel):
    """Everything that defines a training.

    stages: by name, in order; each begins with the best weights of the one before. One of them is an SFTConfig in the
        ablation that puts STaR in Stage II's place.
    problems, samples: a step plays `samples` dialogues on each of `problems` problems.
    offline: share of the dialogues whose first attempt is the base model's: it is given, and only the second attempt is
        trained on, which widens what it learns to correct. As many first attempts are then sampled beside them, so that
        attempt 1 is trained all the same. The paper gives no share; 0 is all on-policy.
    token_budget: tokens in memory at once in an update; changes no result beyond rounding.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stages: dict[str, Stage | SFTConfig]
    problems: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=2)]
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    offline: Annotated[float, Field(ge=0, le=1)] = 0.0
    token_budget: Annotated[int, Field(ge=1)] = 8192

    @property
    def steps(self) -> int:
        """Gradient steps of all stages."""
        return sum(stage.steps for stage in self.stages.values())

    @property
    def dialogues(self) -> int:
        """Dialogues sampled in all stages, where they are stages of reinforcement learning."""
        return self.steps * self.problems * self.samples


def from_preset(numbers: Preset) -> ScoreConfig:
    """Both stages, each of half the steps."""
    half = {"steps": numbers.steps // 2, "learning_rate": numbers.learning_rate}
    stage1 = Stage(reward=(0, 1), kl=numbers.stage1_kl, **half)
    stage2 = Stage(reward=(1, 1), kl=numbers.stage2_kl, alpha=numbers.alpha, **half)
    return ScoreConfig(
        stages={"stage1": stage1, "stage2": stage2},
        problems=numbers.problems,
        samples=numbers.samples,
        max_tokens=numbers.max_tokens,
    )


@dataclass(frozen=True)
class Score:
    """The method: the base model's dialogue, after training. ablate: what a variant changes in the configuration."""

    name: str = "score"
    ablate: Callable[[ScoreConfig], ScoreConfig] = lambda config: config
    about: str = "SCoRe: reinforcement learning in two stages, with a bonus for the change."

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        return intrinsic(task, problem, turns)

    def preset(self, task: Task, embedded: bool) -> ScoreConfig:
        return self.ablate(from_preset(preset(task, embedded)))

    def train(self, context: TrainingContext, config: ScoreConfig) -> None:
        for name, stage in config.stages.items():
            if isinstance(stage, SFTConfig):
                imitate_own_corrections(context, self, stage, context.folder / name)
            else:
                with progress(f"{self.name}, {name}", stage.steps) as tell:
                    event_loop.run(self._stage(context, config, name, stage, tell))

    async def _stage(
        self, context: TrainingContext, config: ScoreConfig, name: str, stage: Stage, tell: Progress
    ) -> None:
        policy = context.policy
        reference = context.reference
        if stage.reference == "start":
            reference = frozen_copy(policy)
        optimizer = adam(policy, stage.learning_rate)
        state = StageState(context.folder / name, policy, optimizer, kl_T=[0.0] * stage.turns)
        state.resume()
        engine = context.engine()
        for problems in context.batches(config.problems, name, state.step):
            if state.step >= stage.steps:
                break
            start = time.monotonic()
            await engine.push(policy)
            seed = seed_of(context.seed, name, state.step)
            rollout = await self._rollout(context, config, stage, engine, problems, seed)
            engine.forget()  # the update needs the memory
            played = time.monotonic()
            stats = update(
                policy, reference, optimizer, rollout, stage, state.kl_T, config.temperature, config.token_budget
            )
            row = _row(rollout, stage, stats, played - start, time.monotonic() - played)
            # Without the bonus: with it, the highest reward is where attempt 1 is worst, and early weights would win.
            state.advance(row["right"], stats.kl_T, row)
            tell(state.step, f"right {_percent(row['correct'])}, KL {stats.kl_T[0]:.2f}")
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
        """The dialogues of a step, with first attempts of the base model in the `offline` share of each problem's."""
        sampling = Sampling(temperature=config.temperature, max_tokens=config.max_tokens)
        player = Player(self, context.task, engine, sampling, stage.turns, seed, context.graders)
        count = round(config.offline * config.samples)
        if not count:
            return await collect(player, problems, config.samples)
        single = replace(player, turns=1, seed=seed_of(seed, "offline"))
        with gathered(context.reference):
            base = context.hf_engine(context.reference)
            given = await first_attempts(replace(single, engine=base), problems, count)
        rest = [None] * (config.samples - count)
        dialogues = await collect(player, problems, config.samples, [reply for own in given for reply in [*own, *rest]])
        return joined(dialogues, await collect(single, problems, count))


def _row(rollout: Rollout, stage: Stage, stats: UpdateStats, rollout_seconds: float, update_seconds: float) -> dict:
    """What a step's line in steps.jsonl says: means over what was sampled in it, by turn where they are lists."""
    loss_mask_PKT, correct_PKT = rollout.loss_mask_PKT, rollout.correct_PKT
    per_turn_T = loss_mask_PKT.sum((0, 1)).clamp(min=1)
    attempts = [e.attempts for e in rollout.episodes]
    pairs = [(row[0], row[-1]) for row in attempts if len(row) > 1]
    flips = [(first.verdict.passed, last.verdict.passed) for first, last in pairs]
    correct_T = (correct_PKT * loss_mask_PKT).sum((0, 1)) / per_turn_T
    return {
        "right": sum(weight * share for weight, share in zip(stage.reward, correct_T.tolist(), strict=True)),
        "reward": ((turn_rewards(correct_PKT, stage) * loss_mask_PKT).sum((0, 1)) / per_turn_T).sum().item(),
        "correct": correct_T.tolist(),
        "i_to_c": flips.count((False, True)) / max(len(pairs), 1),
        "c_to_i": flips.count((True, False)) / max(len(pairs), 1),
        "unchanged": sum(first.reply.text == last.reply.text for first, last in pairs) / max(len(pairs), 1),
        "truncated": sum(a.reply.finish_reason == "length" for row in attempts for a in row),
        "errors": sum(a.verdict.outcome == "error" for row in attempts for a in row),
        "loss": stats.loss,
        "kl": stats.kl_T,
        "tokens": stats.tokens_T,
        "entropy": stats.entropy_T,
        "grad_norm": stats.grad_norm,
        "worst_logprob_gap": stats.worst_logprob_gap,
        "mean_logprob_gap": stats.mean_logprob_gap,
        "rollout_seconds": rollout_seconds,
        "update_seconds": update_seconds,
        "tokens_per_second": sum(stats.tokens_T) * len(attempts) / (rollout_seconds + update_seconds),
    }


def _percent(shares: list[float]) -> str:
    return " -> ".join(f"{100 * share:.0f}" for share in shares) + " %"


score = Score()

# The paper's ablations: the same method with another row of numbers. All have SCoRe's budget of dialogues and steps.


def _stages(config: ScoreConfig, **stages: Stage | SFTConfig) -> ScoreConfig:
    return config.model_copy(update={"stages": stages})


def _rl(config: ScoreConfig, name: str) -> Stage:
    stage = config.stages[name]
    assert isinstance(stage, Stage)
    return stage


def _no_stage1(config: ScoreConfig) -> ScoreConfig:
    return _stages(config, stage2=_rl(config, "stage2").model_copy(update={"steps": config.steps}))


def _no_shaping(config: ScoreConfig) -> ScoreConfig:
    return _stages(config, **config.stages | {"stage2": _rl(config, "stage2").model_copy(update={"alpha": 0.0})})


def _multi_turn(config: ScoreConfig) -> ScoreConfig:
    return _no_shaping(_no_stage1(config))


def _single_turn(config: ScoreConfig) -> ScoreConfig:
    stage2 = _rl(config, "stage2")
    alone = stage2.model_copy(update={"reward": (1,), "kl": stage2.kl[:1], "alpha": 0.0, "steps": config.steps})
    return _stages(config, rl=alone)


def _offline(config: ScoreConfig) -> ScoreConfig:
    return config.model_copy(update={"offline": 1.0})


def _star_stage2(config: ScoreConfig) -> ScoreConfig:
    """One stage of RL, then STaR for as many dialogues and steps as Stage II had."""
    steps = config.stages["stage2"].steps
    dialogues = steps * config.problems * config.samples
    imitation = SFTConfig(
        rounds=3, dialogues=dialogues, steps=steps, batch=64, learning_rate=1e-4, max_tokens=config.max_tokens
    )
    return _stages(config, stage1=config.stages["stage1"], stage2=imitation)


def _three_turns(config: ScoreConfig) -> ScoreConfig:
    """ICLR version, appendix A.1: teach attempt 2, then attempt 3 with both before it held, then reward all."""
    stage1, stage2 = _rl(config, "stage1"), _rl(config, "stage2")
    strict, light = stage1.kl
    half = {"steps": stage1.steps // 2}
    return _stages(
        config,
        stage1a=stage1.model_copy(update={"reward": (0, 1), **half}),
        stage1b=stage1.model_copy(
            update={"reward": (0, 0, 1), "kl": (strict, strict, light), "reference": "start", **half}
        ),
        stage2=stage2.model_copy(update={"reward": (1, 1, 1), "kl": (*stage2.kl, stage2.kl[-1])}),
    )


no_stage1 = Score("score-no-stage1", _no_stage1, about="SCoRe without Stage I: all steps are Stage II's.")
no_shaping = Score("score-no-shaping", _no_shaping, about="SCoRe without the bonus for the change in Stage II.")
star_stage2 = Score("score-star-stage2", _star_stage2, about="SCoRe with STaR in the place of Stage II.")
offline = Score(
    "score-offline", _offline, about="SCoRe whose second attempts are trained on the base model's first ones."
)
single_turn = Score("rl-single-turn", _single_turn, about="Reinforcement learning of attempt 1 alone.")
multi_turn = Score("rl-multi-turn", _multi_turn, about="Reinforcement learning of both attempts: no Stage I, no bonus.")
three_turns = Score("score-three-turns", _three_turns, about="SCoRe for three attempts: Stage I in two parts.")
