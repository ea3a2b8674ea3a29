"""The weights of a training: the policy, what the KL holds it to, and what is left when it is done."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from scorebench.api import distributed
from scorebench.api.errors import UserError
from scorebench.engines.export import has_adapter
from scorebench.training.fsdp import as_held, gather, share_out, shared_out
from scorebench.training.tuning import Lora, Tuning

_TRAINED = "policy"  # peft's name for the adapter that is trained
_START = "start"  # and for a copy of it as it once was


class Switched:
    """The policy with another adapter, or with none. It is called as a model; its weights are the policy's.

    adapter: the name of the adapter that is used in a call; None for the weights without any.
    """

    def __init__(self, policy: Any, adapter: str | None) -> None:
        self.policy = policy
        self.adapter = adapter

    def __getattr__(self, name: str) -> Any:
        return getattr(self.policy, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with torch.no_grad(), self._switched():
            return self.policy(*args, **kwargs)

    @contextmanager
    def _switched(self) -> Iterator[None]:
        if self.adapter is None:
            self.policy.disable_adapters()
        else:
            self.policy.set_adapter(self.adapter)
        try:
            yield
        finally:
            self.policy.enable_adapters()
            self.policy.set_adapter(_TRAINED)


def prepare(model: Any, tuning: Tuning, seed: int) -> tuple[Any, Any]:
    """Turns a model into the policy, in place, and gives the policy and its reference.

    The reference is a frozen copy. With an adapter it is the policy without the adapter, which costs no memory. Where
    there are several processes, the weights are sharded over them.
    """
    if model.dtype == torch.float16:
        raise UserError("float16 has too small a range to train in; take --dtype bfloat16 or float32.")
    if tuning.gradient_checkpointing:
        for layer in layers(model):
            layer.gradient_checkpointing = True
    if tuning.lora.rank:
        add_adapter(model, tuning.lora, seed)
        reference: Any = Switched(model, None)
    else:
        reference = copy.deepcopy(model).requires_grad_(False)
        share_out(reference, layers(reference))
    share_out(model, layers(model))
    gather(model)
    return model, reference


def add_adapter(model: Any, lora: Lora, seed: int) -> None:
    """Freezes the model's weights and puts an adapter beside them, in the model's dtype, that changes nothing yet."""
    from peft import LoraConfig

    model.requires_grad_(False)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft's scaling takes any number
        target_modules=list(lora.targets) or "all-linear",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            model.add_adapter(config, _TRAINED)
        except ValueError as fault:
            reason = str(fault).split(". ")[0]
            if "peft" in reason.lower():  # the two libraries do not go together: no matter of the layers
                raise UserError(
                    f"No adapter can be made: {reason}. Install a transformers and a peft that agree."
                ) from fault
            raise UserError(f"--set lora.targets: {reason}; name layers that the model has.") from fault
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(model.dtype)


def frozen_copy(policy: Any) -> Any:
    """A frozen copy of the policy as it is now, as a reference. With an adapter, only the adapter is copied."""
    if not has_adapter(policy):
        return _copy(policy).requires_grad_(False)
    if _START in policy.peft_config:
        policy.delete_adapter(_START)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Already found a `peft_config`")  # that is what is wanted
        policy.add_adapter(policy.peft_config[_TRAINED], _START)
    policy.set_adapter(_TRAINED)
    parameters = dict(policy.named_parameters())
    for name, parameter in parameters.items():
        if f".{_START}." in name:
            parameter.data = parameters[name.replace(f".{_START}.", f".{_TRAINED}.")].detach().clone()
    return Switched(policy, _START)


def _copy(policy: Any) -> Any:
    if distributed.count() == 1:
        return copy.deepcopy(policy)
    from transformers import AutoModelForCausalLM

    with torch.device(policy.device):  # torch copies no model that is shared out
        made = AutoModelForCausalLM.from_config(policy.config, dtype=policy.dtype).eval()
    held = dict(policy.named_parameters(remove_duplicate=False)) | dict(policy.named_buffers())
    made.load_state_dict({name: held[name] for name in made.state_dict()})  # buffers that are not saved stay as made
    share_out(made, layers(made))
    return made


def trained_weights(policy: Any) -> dict[str, torch.Tensor]:
    """What training changes, by name, as this process holds it: all of the policy's state, or its adapter's."""
    frozen = {name for name, p in policy.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name: tensor for name, tensor in policy.state_dict().items() if name not in frozen}


def snapshot(policy: Any) -> dict[str, torch.Tensor]:
    """A copy of what training changes, to be restored."""
    with shared_out(policy):
        return {name: tensor.clone() for name, tensor in trained_weights(policy).items()}


def restore(policy: Any, weights: dict[str, torch.Tensor]) -> None:
    """Takes back a snapshot, or whole weights from the disk."""
    with shared_out(policy):
        held = trained_weights(policy)
        policy.load_state_dict({name: as_held(tensor, held[name]) for name, tensor in weights.items()}, strict=False)


def with_weights(model: Any, tuning: Tuning, weights: dict[str, torch.Tensor]) -> Any:
    """A model from the disk with the weights of a training put into it, or with a trained adapter beside its own."""
    if tuning.lora.rank:
        add_adapter(model, tuning.lora, seed=0)
    model.load_state_dict(weights, strict=not tuning.lora.rank)
    return model


def layers(model: Any) -> list[Any]:
    """The repeated blocks: the units of gradient checkpointing and of sharding."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


@contextmanager
def recomputed(policy: Any) -> Iterator[None]:
    """Inside, layers that are marked for gradient checkpointing keep only their inputs.

    transformers does so only for models in training mode. That mode also switches dropout on, but the policy that is
    trained has to be the one that sampled.
    """
    marked = [layer for layer in layers(policy) if layer.gradient_checkpointing]
    for layer in marked:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    try:
        yield
    finally:
        for layer in marked:
            del layer.forward
