"""Where a stage of training stands, on disk: killed at any moment, it goes on to the same weights.

A step depends on the weights, the optimizer, and seeds made of the run's seed, the stage and the step's number. So only
these are saved, and it makes no difference to the result when they are saved.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from scorebench.api import distributed
from scorebench.storage.files import disk_faults, replacing
from scorebench.training.fsdp import shared_out, whole
from scorebench.training.optimizer import load_state
from scorebench.training.weights import restore, snapshot, trained_weights

_WINDOW = 10  # steps over which the training reward is averaged: a single step's reward is mostly noise
_REST = 20  # a save may take one part in twenty of the time
_SHORTEST = 10.0  # seconds between saves, at least

STEPS, EVALUATIONS, ROLLOUTS = "steps.jsonl", "evaluations.jsonl", "rollouts.jsonl"  # the logs of a stage


@dataclass
class StageState:
    """The state of one stage, and its best weights so far.

    step: steps done. rewards: those of the last steps, at most a window of them. kl_T: of the last step.
    keeps_best: whether the stage ends with the weights of the best window of rewards (reinforcement learning) or with
        those of the last step (imitation).
    by_validation: the stage ends with the weights of the best evaluation instead.
    best_reward, best: the best mean reward, or the best evaluation, and a snapshot of the weights at that step.
    evaluated: the step of the last evaluation, -1 before there is one.
    """

    folder: Path
    policy: Any
    optimizer: torch.optim.Optimizer
    kl_T: list[float]
    keeps_best: bool = True
    by_validation: bool = False
    step: int = 0
    rewards: list[float] = field(default_factory=list)
    best_reward: float = float("-inf")
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    evaluated: int = -1
    saved_at: float = field(default_factory=time.monotonic)
    save_took: float = 0.0

    def resume(self) -> None:
        """Takes up what was saved. Log lines of later steps are dropped, because those steps will be done again."""
        path = self.folder / "state.pt"
        if path.exists():
            saved = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
            restore(self.policy, saved["policy"])
            load_state(self.optimizer, saved["optimizer"])
            self.step, self.rewards, self.kl_T = saved["step"], saved["rewards"], saved["kl_T"]
            self.best_reward, self.best = saved["best_reward"], saved["best"]
            self.evaluated = saved.get("evaluated", -1)  # older states have none
        if distributed.is_first():
            for name, last in ((STEPS, self.step), (ROLLOUTS, self.step), (EVALUATIONS, self.evaluated)):
                _keep_until(self.folder / name, last)

    def advance(self, reward: float, kl_T: list[float], row: Mapping[str, Any]) -> None:
        """Counts a step: logs its row, keeps its weights if the last window was the best, saves now and then.

        reward: what selects the best weights; it is logged under this name.
        """
        if {"step", "reward"} & row.keys():
            raise ValueError("a row of the log must not name 'step' or 'reward', which advance() writes itself")
        self.step += 1
        self.kl_T = kl_T
        self.rewards = [*self.rewards, reward][-_WINDOW:]
        mean = sum(self.rewards) / len(self.rewards)
        if self.keeps_best and not self.by_validation and len(self.rewards) == _WINDOW:
            self._keep_if_best(mean)
        self.log(STEPS, {"step": self.step, "reward": reward, **row})
        if distributed.agreed(time.monotonic() - self.saved_at > max(_SHORTEST, _REST * self.save_took)):
            self.save()

    def judge(self, score: float, row: Mapping[str, Any]) -> None:
        """Logs an evaluation of the weights as they are, and keeps them if it is the best and validation selects."""
        self.evaluated = self.step
        if self.by_validation:
            self._keep_if_best(score)
        self.log(EVALUATIONS, {"step": self.step, "score": score, **row})

    def _keep_if_best(self, score: float) -> None:
        if score > self.best_reward:
            self.best_reward = score
            self.best = snapshot(self.policy)

    def log(self, name: str, *rows: Mapping[str, Any]) -> None:
        """Appends rows to a log of the stage, in the first process."""
        if not distributed.is_first():
            return
        path = self.folder / name
        with disk_faults(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)

    def first_row(self, name: str) -> dict[str, Any] | None:
        """The first row of a log of the stage, in the first process; None where there is none."""
        path = self.folder / name
        if not distributed.is_first() or not path.exists():
            return None
        with path.open(encoding="utf-8") as file:
            line = file.readline()
        return json.loads(line) if line else None

    def save(self) -> None:
        """Writes the state, in one form for any number of processes."""
        start = time.monotonic()
        with shared_out(self.policy):
            state = whole(self._state())
        if distributed.is_first():
            with replacing(self.folder / "state.pt") as part, weights_faults():
                torch.save(state, part)
        self.saved_at = time.monotonic()
        self.save_took = self.saved_at - start

    def _state(self) -> dict[str, Any]:
        return {
            "policy": trained_weights(self.policy),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "rewards": self.rewards,
            "kl_T": self.kl_T,
            "best_reward": self.best_reward,
            "best": self.best,
            "evaluated": self.evaluated,
        }

    def finish(self) -> None:
        """Leaves the policy with the best weights; with those of the last step where none were kept."""
        if self.best:
            restore(self.policy, self.best)
        self.save()


def _keep_until(log: Path, last: int) -> None:
    """Drops the lines of a log that belong to steps after `last`, and a line that was cut off."""
    if not log.exists():
        return
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    with replacing(log) as part:
        kept = (line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= last)
        part.write_text("".join(kept), encoding="utf-8")


@contextmanager
def weights_faults() -> Iterator[None]:
    """Torch and safetensors report a full disk as errors of their own; this makes them the disk's."""
    try:
        yield
    except (RuntimeError, SafetensorError) as fault:
        raise OSError(str(fault).split("\n")[0]) from fault
