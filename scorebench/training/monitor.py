"""What a training says while it runs: the base's rollout, validation, a collapse, the time that is left, its dialogues.

Nothing here changes a weight, except that `select_by=validation` chooses which of them are kept.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch

from scorebench.api import distributed
from scorebench.api.percent import percent
from scorebench.api.progress import say
from scorebench.api.protocols import Method, PolicyEngine, TrainingContext
from scorebench.api.types import Problem, Sampling
from scorebench.dialogue.player import Player, seed_of
from scorebench.storage.files import write_json
from scorebench.training.checkpoint import EVALUATIONS, ROLLOUTS, StageState
from scorebench.training.objective import Stage, turn_rewards
from scorebench.training.rollout import Rollout, collect, outcomes
from scorebench.training.tuning import Tuning
from scorebench.training.update import measure

BASE = "base.json"  # the outcomes of the base's rollout, in the folder of the training

_COPIES = 0.95  # share of second attempts that repeat the first
_ENTROPY = 0.1  # share that is left of the first evaluation's entropy


@dataclass(frozen=True)
class Watch:
    """How a training is watched. validation: the problems of its evaluations. report: takes (stage, step, row)."""

    tuning: Tuning = field(default_factory=Tuning)
    validation: Sequence[Problem] = ()
    report: Callable[[str, int, Mapping[str, Any]], None] = lambda stage, step, row: None


class Limits(Protocol):
    """What a monitor reads from a method's configuration."""

    @property
    def temperature(self) -> float: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def token_budget(self) -> int: ...


class Monitor:
    """Follows one stage of a training.

    steps: gradient steps of the stage. later: those of the stages after it. turns: attempts in a dialogue of the stage;
    an evaluation has two at least. config: the training's temperature, max_tokens and token_budget.
    """

    def __init__(
        self,
        context: TrainingContext,
        method: Method,
        state: StageState,
        steps: int,
        turns: int,
        config: Limits,
        later: int = 0,
    ) -> None:
        self.context, self.method, self.state = context, method, state
        self.steps, self.later = steps, later
        self.turns, self.config = max(turns, 2), config
        self.watch: Watch = context.watch
        self.stage = state.folder.relative_to(context.folder).as_posix().strip(".")
        state.by_validation = self.watch.tuning.select_by == "validation"
        self._copying = self._narrow = self._timed = False
        self._started = time.monotonic()

    def is_due(self) -> bool:
        """Whether the weights as they are should be evaluated: before the first step, every so often, at the end."""
        every, step = self.watch.tuning.evaluate_every, self.state.step
        self._started = time.monotonic()
        return (
            bool(every and self.watch.validation)
            and self.state.evaluated != step
            and (step % every == 0 or step == self.steps)
        )

    async def evaluate(self, engine: PolicyEngine) -> None:
        """Plays the validation problems greedily, logs what came of it, and warns of a collapse.

        Entropy and KL are those of the distributions at the training's temperature, along the greedy dialogues.
        """
        rollout = await self._play(engine, self.watch.validation, 1, 0.0, seed_of("validation"))
        context, state = self.context, self.state
        stats = measure(context.policy, context.reference, rollout, self.config.temperature, self.config.token_budget)
        row = outcomes(rollout) | {"kl": stats.kl_T, "entropy": stats.entropy_T}
        state.judge(sum(row["correct"]) / len(row["correct"]), row)
        self.watch.report(f"{self.stage}/validation".strip("/"), state.step, row)
        say(f"{self._name} at step {state.step} of {self.steps}, validation: {_described(row, len(rollout.episodes))}")
        self._warn(row)
        self._started = time.monotonic()

    async def show_base(self, engine: PolicyEngine, problems: Sequence[Problem], samples: int) -> None:
        """Before the first step of a training: plays one rollout of the base as training samples it, and describes it.

        It is played once: a training that goes on does not repeat it. It takes part in nothing that is drawn later.
        """
        path = self.context.folder / BASE
        if self.state.step or distributed.agreed(path.exists()):
            return
        seed = seed_of(self.context.seed, "base")
        rollout = await self._play(engine, problems, samples, self.config.temperature, seed)
        row = outcomes(rollout)
        if distributed.is_first():
            write_json(path, row)
        self.watch.report("base", 0, row)
        say(f"The base at temperature {self.config.temperature:g}: {_described(row, len(rollout.episodes))}")
        if warning := no_signal(row):
            say(warning)
        self._started = time.monotonic()

    def advance(
        self,
        reward: float,
        kl_T: list[float],
        row: Mapping[str, Any],
        rollout: Rollout | None = None,
        objective: Stage | None = None,
    ) -> None:
        """Counts a step of the stage. rollout, objective: its dialogues and what they were paid by."""
        every = self.watch.tuning.rollouts_every
        if rollout and objective and every and (self.state.step + 1) % every == 0:
            self.state.log(ROLLOUTS, *_dialogues(self.state.step + 1, rollout, objective))
        seconds = time.monotonic() - self._started
        self.state.advance(reward, kl_T, {**row, "seconds": seconds})
        self.watch.report(self.stage, self.state.step, {"reward": reward, **row})
        if not self._timed:
            self._timed = True
            rest = self.steps - self.state.step + self.later
            say(
                f"{self._name}: this step took {_duration(seconds)}, so the {rest} that are left take about "
                f"{_duration(rest * seconds)}; peak memory {peak_memory()}."
            )

    @property
    def _name(self) -> str:
        return f"{self.method.name}, {self.stage}" if self.stage else self.method.name

    async def _play(
        self, engine: PolicyEngine, problems: Sequence[Problem], samples: int, temperature: float, seed: int
    ) -> Rollout:
        await engine.push(self.context.policy)
        sampling = Sampling(temperature=temperature, max_tokens=self.config.max_tokens)
        player = Player(self.method, self.context.task, engine, sampling, self.turns, seed, self.context.graders)
        rollout = await collect(player, problems, samples)
        engine.forget()  # the training needs the memory
        return rollout

    def _warn(self, row: Mapping[str, Any]) -> None:
        """One line when copies become the rule, and one when the distribution has become narrow."""
        copying = row["unchanged"] >= _COPIES
        if copying and not self._copying:
            copies = 100 * row["unchanged"]
            say(f"Warning: {copies:.0f} % of the second attempts repeat the first; the training may be collapsing.")
        self._copying = copying
        first = self.state.first_row(EVALUATIONS) or row
        fallen = [
            f"that of attempt {turn} from {before:.3f} to {entropy:.3f}"
            for turn, (before, entropy) in enumerate(zip(first["entropy"], row["entropy"], strict=True), start=1)
            if entropy < _ENTROPY * before
        ]
        if fallen and not self._narrow:
            say(f"Warning: the entropy fell, {', '.join(fallen)} nats a token; the training may be collapsing.")
        self._narrow = bool(fallen)


def no_signal(row: Mapping[str, Any]) -> str:
    """One sentence where reinforcement learning has nothing to go by, and what to do; empty where it has."""
    correct, wrong_first = row["correct"], row["correct"][0] < 1
    if row["replies"] == 0:
        return "Warning: no dialogue could be played; see whether the engine works with `scorebench doctor`."
    if not any(correct):
        return (
            "Warning: no attempt of the base is right, so there is nothing to reinforce; fine-tune it first with "
            "`scorebench train --method sft`, or take easier problems."
        )
    if all(share == 1 for share in correct):
        return "Warning: no attempt of the base is wrong, so there is nothing to learn; take harder problems."
    if wrong_first and not row["i_to_c"]:
        return (
            "Warning: no second attempt of the base corrects a wrong first one, so correcting cannot be reinforced; "
            "fine-tune it first with `scorebench train --method sft --set corrections=0.5`."
        )
    return ""


def validation_problems(problems: Sequence[Problem], count: int) -> list[Problem]:
    """`count` of the problems: the same ones for every method and every seed."""
    return sorted(problems, key=lambda problem: seed_of("validation", problem.id))[:count]


def peak_memory() -> str:
    """The most memory that this process had: torch's on a GPU, else all of it."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return f"{torch.cuda.max_memory_allocated() / 1e9:.1f} GB on the GPU"
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.1f} GB"


def _dialogues(step: int, rollout: Rollout, objective: Stage) -> list[dict[str, Any]]:
    """A row for each dialogue of a step: what was said, the verdict, and what it was paid."""
    rewards_PKT = turn_rewards(rollout.correct_PKT, objective) * rollout.loss_mask_PKT
    rows = zip(rollout.episodes, rewards_PKT.flatten(0, 1).tolist(), strict=True)
    return [
        {
            "step": step,
            "problem": episode.problem_id,
            "sample": episode.sample,
            "rewards": rewards[: len(episode.attempts)],
            "verdicts": [asdict(attempt.verdict) for attempt in episode.attempts],
            "transcript": list(episode.transcript),
        }
        for episode, rewards in rows
    ]


def _described(row: Mapping[str, Any], dialogues: int) -> str:
    right = ", ".join(f"Acc@t{turn} {percent(share)} %" for turn, share in enumerate(row["correct"], start=1))
    tokens = " -> ".join(f"{tokens:.0f}" for tokens in row["length"])
    errors = f", {row['errors']} errors" if row["errors"] else ""
    return (
        f"{right}, i->c {percent(row['i_to_c'])} %, c->i {percent(row['c_to_i'])} %, "
        f"{100 * row['unchanged']:.0f} % unchanged, {tokens} tokens, {row['truncated']} of {row['replies']} replies "
        f"truncated{errors} ({dialogues} dialogues)."
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
