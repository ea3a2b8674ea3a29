"""The processes of one training: a single one, or several that torchrun has started.

With a single process, each function does nothing, or returns what it is given. With several, every process has to call
the function, because each waits until all the others have called it too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_PATIENCE = timedelta(hours=6)  # dialogues of one process may take much longer than those of another


def count() -> int:
    """How many processes there are; torchrun sets it in the environment of each."""
    return int(os.environ["WORLD_SIZE"]) if "RANK" in os.environ else 1


def own() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", 0))


def is_first() -> bool:
    """Whether this is the first process, which writes files and prints."""
    return own() == 0


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Connects the processes while the block runs. On GPUs, each process has a GPU of its own."""
    if count() == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    backend = "gloo"
    if device.startswith("cuda"):
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=_PATIENCE)
    yield
    dist.destroy_process_group()  # not after an error: the launcher must see this process die, and ends the others


def together() -> None:
    """Waits until every process has come here."""
    everyones(None)


def everyones(item: T) -> list[T]:
    """The items that all processes passed, in the order of their numbers."""
    if count() == 1:
        return [item]
    import torch.distributed as dist

    items: list[T | None] = [None] * count()
    dist.all_gather_object(items, item)
    return items  # type: ignore[return-value]


def agreed(value: T) -> T:
    """The value of the first process. For values that can differ between processes, such as the time."""
    return everyones(value)[0]


def total(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor summed over all processes, in place."""
    if count() > 1:
        import torch.distributed as dist

        dist.all_reduce(tensor)
    return tensor


def in_step(pieces: Sequence[T], filler: T) -> Iterator[tuple[T, int]]:
    """The pieces of work of this process, each with weight 1; then fillers with weight 0, as long as others have more.

    So every process does the same number of steps.
    """
    longest = max(everyones(len(pieces)))
    yield from [(piece, 1) for piece in pieces]
    yield from [(filler, 0)] * (longest - len(pieces))
