"""Sharding of the weights over the processes of a training, by torch's own FSDP2. One process does nothing of it.

Between updates every process holds the policy's whole weights, so that it can play dialogues without waiting for the
others. In an update the weights are sharded: a process then holds a part of the weights, of their gradients and of the
optimizer's state, and gathers a layer's weights while it works on that layer. Weights can be read at any time, but they
are written only inside shared_out(): the whole weights are a copy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_map

from scorebench.api import distributed


def share_out(model: Any, blocks: list[Any]) -> None:
    """Shards the model's weights, block by block. The mean of the processes' gradients is taken in float32."""
    if distributed.count() == 1:
        return
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    mesh = init_device_mesh(model.device.type, (distributed.count(),))
    precision = MixedPrecisionPolicy(reduce_dtype=torch.float32)
    for module in [*blocks, model]:
        fully_shard(module, mesh=mesh, mp_policy=precision)
    _share(model)


@contextmanager
def shared_out(model: Any) -> Iterator[None]:
    """Inside, the weights of a model that is otherwise whole are sharded.

    After an error they stay sharded, because the other processes do not take part any more.
    """
    _share(model)
    yield
    gather(model)


@contextmanager
def gathered(model: Any) -> Iterator[None]:
    """Inside, the weights of a model that is otherwise sharded are whole."""
    gather(model)
    yield
    _share(model)


def gather(model: Any) -> None:
    """Makes the weights whole until something shards them; calls of the model then need no other process."""
    for module in _sharded_modules(model):
        module.set_reshard_after_forward(False, recurse=False)
        module.unshard()


def _share(model: Any) -> None:
    """Shards the weights. Those in no block stay whole from a forward pass to the end of its backward pass.

    The output layer is one of them, and it is used between the two.
    """
    for module in _sharded_modules(model):
        module.set_reshard_after_forward(module is not model, recurse=False)
        module.reshard()


def _sharded_modules(model: Any) -> list[Any]:
    if distributed.count() == 1:
        return []
    from torch.distributed.fsdp import FSDPModule

    held = [module for module in model.modules() if isinstance(module, FSDPModule)]
    return held if held and held[0] is model else []  # a Switched model has no modules of its own


def whole(value: Any) -> Any:
    """A nest of tensors as the first process writes it to the disk: a sharded tensor is made whole, on the CPU.

    The other processes get None in the place of a sharded tensor.
    """
    return tree_map(_whole, value) if distributed.count() > 1 else value


def _whole(value: Any) -> Any:
    from torch.distributed.tensor import DTensor

    if not isinstance(value, DTensor):
        return value
    full = value.full_tensor()
    return full.cpu() if distributed.is_first() else None


def number(scalar: torch.Tensor) -> float:
    """A tensor of one number, such as a norm over all processes' parts."""
    from torch.distributed.tensor import DTensor

    return float(scalar.full_tensor() if isinstance(scalar, DTensor) else scalar)


def as_held(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """A tensor on the device of another one, and sharded as that one is."""
    moved = tensor.to(like.device)
    if distributed.count() == 1:
        return moved
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(moved, DTensor) or not isinstance(like, DTensor):
        return moved
    return distribute_tensor(moved, like.device_mesh, like.placements)
