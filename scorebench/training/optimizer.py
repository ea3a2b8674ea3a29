"""Adam for the weights that a policy has. Its sums are kept in float32, also where the weights are in bfloat16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from scorebench.training.fsdp import as_held, shared_out


def adam(policy: Any, learning_rate: float) -> torch.optim.Optimizer:
    """Adam over the weights that are trained, and over float32 masters of them where they are in bfloat16."""
    with shared_out(policy):
        weights = [weight for weight in policy.parameters() if weight.requires_grad]
    if all(weight.dtype == torch.float32 for weight in weights):
        return torch.optim.Adam(weights, lr=learning_rate)
    return MasterAdam(weights, learning_rate)


def backward(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Adds the loss's gradient to that of the step."""
    loss.backward()
    if isinstance(optimizer, MasterAdam):
        optimizer.add_gradients()


def parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """The tensors that the optimizer moves. After the backward passes of a step, they have its gradient."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def load_state(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Loads a state_dict() of whole tensors into an optimizer whose tensors may be sharded."""
    held = parameters(optimizer)
    state = {
        number: {name: as_held(value, held[number]) if value.ndim else value for name, value in values.items()}
        for number, values in saved["state"].items()
    }
    optimizer.load_state_dict({**saved, "state": state})


class MasterAdam(torch.optim.Adam):
    """Adam over float32 copies of the weights, the masters; a step rounds them into the weights.

    A step of 5e-6 is far below what bfloat16 can add to a weight, and would be lost without them. The gradients of
    backward passes add up in float32 too, where add_gradients() takes them from the weights.
    """

    def __init__(self, weights: Sequence[torch.Tensor], learning_rate: float) -> None:
        self.weights = list(weights)
        self.masters = [weight.detach().float() for weight in weights]
        super().__init__(self.masters, lr=learning_rate)

    def add_gradients(self) -> None:
        for weight, master in zip(self.weights, self.masters, strict=True):
            if weight.grad is not None:
                grad = weight.grad.float()
                master.grad = grad if master.grad is None else master.grad.add_(grad)
                weight.grad = None

    def step(self, closure: Any = None) -> None:
        super().step(closure)
        with torch.no_grad():
            for weight, master in zip(self.weights, self.masters, strict=True):
                weight.copy_(master)

    def state_dict(self) -> dict[str, Any]:
        saved = super().state_dict()
        for number, master in enumerate(self.masters):
            saved["state"][number] = {**saved["state"].get(number, {}), "master": master}
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for master in self.masters:
            master.copy_(self.state[master].pop("master"))
