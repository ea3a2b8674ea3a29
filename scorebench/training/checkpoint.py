"""Where a stage of training stands, on disk: killed at any moment, it goes on to the same weights.

A step depends on the weights, the optimizer, and seeds made of the run's seed, the stage and the step's number. So
these are all that is saved, and when they are saved makes no difference to what comes out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
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

_WINDOW = 10  # steps over which the training reward is averaged: a single step's is mostly noise
_REST = 20  # a save may take one part in twenty of the time
_SHORTEST = 10.0  # seconds between saves, at least


@dataclass
class StageState:
    """The state of one stage, and the weights with the highest training reward so far.

    step: steps done. rewards: of the last steps, at most a window of them. kl_T: of the last step.
    best: mean reward of the best window, and the weights after it (a snapshot).
    keeps_best: whether the stage ends with those (reinforcement learning) or with the last (imitation).
    """

    folder: Path
    policy: Any
    optimizer: torch.optim.Optimizer
    kl_T: list[float]
    keeps_best: bool = True
    step: int = 0
    rewards: list[float] = field(default_factory=list)
    best_reward: float = float("-inf")
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    saved_at: float = field(default_factory=time.monotonic)
    save_took: float = 0.0

    def resume(self) -> None:
        """Takes up what was saved; lines of the log behind it are dropped, since their steps will be done again."""
        path = self.folder / "state.pt"
        if path.exists():
            saved = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
            restore(self.policy, saved["policy"])
            load_state(self.optimizer, saved["optimizer"])
            self.step, self.rewards, self.kl_T = saved["step"], saved["rewards"], saved["kl_T"]
            self.best_reward, self.best = saved["best_reward"], saved["best"]
        log = self.folder / "steps.jsonl"
        if log.exists() and distributed.is_first():
            lines = log.read_text(encoding="utf-8").splitlines(keepends=True)[: self.step]
            with replacing(log) as part:
                part.write_text("".join(lines), encoding="utf-8")

    def advance(self, reward: float, kl_T: list[float], row: dict[str, Any]) -> None:
        """Counts a step: logs its row, keeps its weights if the last window was the best, saves now and then."""
        self.step += 1
        self.kl_T = kl_T
        self.rewards = [*self.rewards, reward][-_WINDOW:]
        mean = sum(self.rewards) / len(self.rewards)
        if self.keeps_best and len(self.rewards) == _WINDOW and mean > self.best_reward:
            self.best_reward = mean
            self.best = snapshot(self.policy)
        if distributed.is_first():
            self._log({"step": self.step, "reward": reward, **row})
        if distributed.agreed(time.monotonic() - self.saved_at > max(_SHORTEST, _REST * self.save_took)):
            self.save()

    def _log(self, row: dict[str, Any]) -> None:
        log = self.folder / "steps.jsonl"
        with disk_faults(log):
            self.folder.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")

    def save(self) -> None:
        """Writes it all, in one form for any number of processes."""
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
        }

    def finish(self) -> None:
        """Leaves the policy with the best weights; those of the last step if the stage was shorter than a window."""
        if self.best:
            restore(self.policy, self.best)
        self.save()


@contextmanager
def weights_faults() -> Iterator[None]:
    """Torch and safetensors report a full disk as errors of their own; this makes them the disk's."""
    try:
        yield
    except (RuntimeError, SafetensorError) as fault:
        raise OSError(str(fault).split("\n")[0]) from fault
