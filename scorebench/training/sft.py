"""Supervised fine-tuning on second attempts: the imitation that STaR and Pair-SFT share."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from scorebench.api import distributed
from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.api.protocols import Task
from scorebench.dialogue.player import seed_of
from scorebench.training.checkpoint import StageState
from scorebench.training.fsdp import shared_out
from scorebench.training.optimizer import adam, backward, parameters
from scorebench.training.presets import preset
from scorebench.training.trajectories import Example
from scorebench.training.weights import recomputed


class SFTConfig(BaseModel):
    """How examples are collected and imitated.

    dialogues: how many are sampled from the policy, over all rounds; samples: how many of them on one problem in a
    round.
    steps: gradient steps, over all rounds. With the same number of dialogues and steps as reinforcement learning has,
    the comparison is fair. batch: examples in a step. plus: right-right examples too (the paper's D+), as many as there
    are wrong-right ones where that many are found; the paper gives no ratio.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: Annotated[int, Field(ge=1)] = 1
    dialogues: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=1)] = 8
    steps: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    plus: bool = False
    temperature: Annotated[float, Field(gt=0)] = 1.0
    max_tokens: Annotated[int, Field(ge=1)] = 1024
    token_budget: Annotated[int, Field(ge=1)] = 8192


def sft_config(task: Task, embedded: bool, rounds: int, plus: bool) -> SFTConfig:
    """SCoRe's number of dialogues and of gradient steps. The paper gives neither learning rate nor batch."""
    numbers = preset(task, embedded)
    return SFTConfig(
        rounds=rounds,
        dialogues=numbers.dialogues,
        steps=numbers.steps,
        batch=numbers.sft_batch,
        learning_rate=numbers.sft_learning_rate,
        plus=plus,
        max_tokens=numbers.max_tokens,
    )


def fine_tune(policy: Any, examples: Sequence[Example], config: SFTConfig, folder: Path, seed: int, title: str) -> None:
    """Takes the steps of one round, and leaves the policy with the weights of the last.

    The loss is the mean of -log p over the tokens of the second attempts of a batch. Examples come in an order made of
    the seed, each once before any comes again. Raises UserError if there is nothing to imitate.
    """
    if not examples:
        raise UserError(
            f"{title}: none of the sampled dialogues is of the kind that is imitated; "
            "sample more with --set dialogues=N."
        )
    optimizer = adam(policy, config.learning_rate)
    state = StageState(folder, policy, optimizer, kl_T=[], keeps_best=False)
    state.resume()
    steps = config.steps // config.rounds
    with progress(title, steps, state.step) as tell:
        while state.step < steps:
            start = time.monotonic()
            rows = [examples[i] for i in _batch(len(examples), config.batch, state.step, seed)]
            loss, tokens = _step(policy, optimizer, rows, config.token_budget)
            rate = tokens / (time.monotonic() - start)
            state.advance(-loss, [], {"loss": loss, "examples": len(rows), "tokens_per_second": rate})
            tell(state.step, f"loss {loss:.3f}")
    state.finish()


def _batch(count: int, size: int, step: int, seed: int) -> list[int]:
    """Indices of a step's examples."""
    positions = range(step * size, (step + 1) * size)
    orders = {epoch: list(range(count)) for epoch in {position // count for position in positions}}
    for epoch, order in orders.items():
        random.Random(seed_of(seed, "examples", epoch)).shuffle(order)
    return [orders[position // count][position % count] for position in positions]


def _step(policy: Any, optimizer: torch.optim.Optimizer, rows: Sequence[Example], budget: int) -> tuple[float, int]:
    """One gradient step, `budget` tokens in memory at a time; the mean loss and how many tokens it is of."""
    total = sum(len(row.token_ids) for row in rows)
    own = sorted(rows, key=_length, reverse=True)[distributed.own() :: distributed.count()]
    optimizer.zero_grad(set_to_none=True)
    loss = torch.zeros((), dtype=torch.float64)
    with shared_out(policy):
        for group, weight in distributed.in_step(_groups(own, budget), filler=list(rows[:1])):
            ids_BL, target_BL = _padded(group, policy.device)
            with recomputed(policy):
                logits_BLV = policy(input_ids=ids_BL, use_cache=False).logits[:, :-1].float()
            targets = target_BL.flatten()
            part = torch.nn.functional.cross_entropy(logits_BLV.flatten(0, 1), targets, reduction="sum") / total
            backward(part * (weight * distributed.count()), optimizer)  # the mean over the processes will be taken
            loss += weight * part.item()
        torch.nn.utils.clip_grad_norm_(parameters(optimizer), 1.0)
        optimizer.step()
    return distributed.total(loss).item(), total


def _length(row: Example) -> int:
    return len(row.prompt_ids) + len(row.token_ids)


def _groups(rows: Sequence[Example], budget: int) -> list[list[Example]]:
    groups: list[list[Example]] = []
    for row in rows:
        if groups and _length(groups[-1][0]) * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _padded(rows: Sequence[Example], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids padded on the right, and at each position the id to predict: -100 where there is no loss."""
    length = max(map(_length, rows))
    ids, targets = [], []
    for row in rows:
        whole = [*row.prompt_ids, *row.token_ids]
        silent = [-100] * (len(row.prompt_ids) - 1)
        ids.append(whole + [0] * (length - len(whole)))
        targets.append(silent + list(row.token_ids) + [-100] * (length - len(whole)))
    return torch.tensor(ids, device=device), torch.tensor(targets, device=device)
