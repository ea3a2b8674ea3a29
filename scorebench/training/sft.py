"""Supervised fine-tuning on examples: what STaR, Pair-SFT and the method sft share."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from scorebench.api import distributed, event_loop
from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.api.protocols import Method, TrainingContext
from scorebench.dialogue.player import seed_of
from scorebench.training.checkpoint import StageState
from scorebench.training.fsdp import shared_out
from scorebench.training.logprobs import token_logprobs
from scorebench.training.monitor import Monitor
from scorebench.training.optimizer import adam, backward
from scorebench.training.presets import TURNS, Preset
from scorebench.training.trajectories import Example
from scorebench.training.update import clip
from scorebench.training.weights import recomputed


class SFTConfig(BaseModel):
    """How examples are collected and imitated.

    rounds: collections, each followed by a fine-tuning.
    dialogues: how many are sampled from the policy, over all rounds. samples: how many of them on one problem in a
        round.
    steps: gradient steps, over all rounds. epochs: times that every example is seen, in each round; it takes the place
        of steps, and the last batch is filled up. Exactly one of the two is a number.
    batch: examples in a step.
    plus: right-right examples too (the paper's D+). plus_ratio: how many of them for each wrong-right one; None takes
        all that were sampled. The paper gives no ratio.
    max_grad_norm: the norm to which a gradient is clipped; None does not clip.
    pay_echoes: an attempt that passes by repeating a formula of the problem counts as right.
    token_budget: tokens in memory at once in a step; it changes no result beyond rounding.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rounds: Annotated[int, Field(ge=1)] = 1
    dialogues: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=1)] = 8
    steps: Annotated[int, Field(ge=1)] | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None
    batch: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    plus: bool = False
    plus_ratio: Annotated[float, Field(ge=0)] | None = None
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    max_grad_norm: Annotated[float, Field(gt=0)] | None = None
    pay_echoes: bool = False
    token_budget: Annotated[int, Field(ge=1)] = 8192

    @model_validator(mode="after")
    def _steps_or_epochs(self) -> SFTConfig:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("one of steps and epochs must be a number and the other one none")
        return self

    @property
    def replies(self) -> int:
        """Replies sampled in all rounds."""
        return TURNS * self.dialogues

    def steps_of(self, number: int, examples: int) -> int:
        """Gradient steps of round `number`, from 1, on so many examples. Over all rounds they add up to `steps`."""
        if self.epochs is not None:
            return math.ceil(self.epochs * examples / self.batch)
        return share_of(self.steps or 0, number, self.rounds)


def share_of(total: int, number: int, parts: int) -> int:
    """The size of part `number`, from 1, where a total is split into parts as equal as possible."""
    return total * number // parts - total * (number - 1) // parts


def sft_config(numbers: Preset, **own: Any) -> SFTConfig:
    """The preset's budget: its dialogues, its gradient steps, its batch. own: what is different."""
    values = {
        "dialogues": numbers.dialogues,
        "steps": numbers.steps,
        "batch": numbers.batch,
        "learning_rate": numbers.sft_learning_rate,
        "max_tokens": numbers.max_tokens,
        "max_grad_norm": numbers.max_grad_norm,
    }
    return SFTConfig(**values | own)


def fine_tune(
    context: TrainingContext,
    method: Method,
    examples: Sequence[Example],
    config: SFTConfig,
    folder: Path,
    seed: int,
    number: int = 1,
) -> None:
    """Takes the steps of round `number` and leaves the policy with the weights of the last step.

    The loss is the mean of -log p over the imitated tokens of a batch. Examples come in an order made of the seed, each
    once before any comes again. Raises UserError if there is nothing to imitate.
    """
    title = f"{method.name}, round {number}" if config.rounds > 1 else method.name
    if not any(example.token_ids for example in examples):
        raise UserError(
            f"{title}: none of the sampled dialogues is of the kind that is imitated; "
            "sample more with --set dialogues=N."
        )
    steps = config.steps_of(number, len(examples))
    state = StageState(folder, context.policy, adam(context.policy, config.learning_rate), kl_T=[], keeps_best=False)
    monitor = Monitor(context, method, state, steps, TURNS, config)
    state.resume()
    with progress(title, steps, state.step) as tell:
        while True:
            if monitor.is_due():
                event_loop.run(monitor.evaluate(context.hf_engine(context.policy)))
            if state.step >= steps:
                break
            start = time.monotonic()
            rows = [examples[i] for i in _batch(len(examples), config.batch, state.step, seed)]
            loss, tokens, norm, clipped = _step(context.policy, state.optimizer, rows, config)
            rate = tokens / (time.monotonic() - start)
            row = {
                "loss": loss,
                "examples": len(rows),
                "grad_norm": norm,
                "clipped": clipped,
                "tokens_per_second": rate,
            }
            monitor.advance(-loss, [], row)
            tell(state.step, f"loss {loss:.3f}")
    state.finish()


def _batch(count: int, size: int, step: int, seed: int) -> list[int]:
    """Indices of a step's examples."""
    positions = range(step * size, (step + 1) * size)
    return [int(_order(count, seed, position // count)[position % count]) for position in positions]


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch's examples."""
    return np.random.default_rng(seed_of(seed, "examples", epoch)).permutation(count)


def _step(
    policy: Any, optimizer: torch.optim.Optimizer, rows: Sequence[Example], config: SFTConfig
) -> tuple[float, int, float, bool]:
    """One gradient step, `token_budget` tokens in memory at a time.

    Gives the mean loss, how many tokens it is of, the norm of the gradient before clipping, and whether it was clipped.
    """
    total = sum(len(row.token_ids) for row in rows)
    own = sorted(rows, key=_length, reverse=True)[distributed.own() :: distributed.count()]
    optimizer.zero_grad(set_to_none=True)
    loss = torch.zeros((), dtype=torch.float64)
    with shared_out(policy):
        for group, weight in distributed.in_step(_groups(own, config.token_budget), filler=list(rows[:1])):
            with recomputed(policy):
                logp_N = token_logprobs(policy, *_padded(group, policy.device))
            part = -logp_N.sum() / max(total, 1)
            # FSDP takes the mean of the processes' gradients, so each is multiplied by their number.
            backward(part * (weight * distributed.count()), optimizer)
            loss += weight * part.item()
        norm, clipped = clip(optimizer, config.max_grad_norm)
        optimizer.step()
    return distributed.total(loss).item(), total, norm, clipped


def _length(row: Example) -> int:
    return len(row.prompt_ids) + len(row.token_ids)


def _groups(rows: Sequence[Example], budget: int) -> list[list[Example]]:
    """Rows, longest first, in groups of at most `budget` tokens, padding included; a group has one row at least."""
    groups: list[list[Example]] = []
    for row in rows:
        if groups and _length(groups[-1][0]) * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _padded(rows: Sequence[Example], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids padded on the right, and a mask that is True at the imitated tokens."""
    length = max(map(_length, rows))
    ids = [[*row.prompt_ids, *row.token_ids] + [0] * (length - _length(row)) for row in rows]
    imitated = [
        [False] * len(row.prompt_ids) + [True] * len(row.token_ids) + [False] * (length - _length(row)) for row in rows
    ]
    return torch.tensor(ids, device=device), torch.tensor(imitated, device=device)
