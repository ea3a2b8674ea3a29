"""The processes of one training: one where there is no launcher, several under torchrun.

Where there is one, every function does nothing or gives back what it is given. Where there are several, all of them
call it: what one process has for the others comes when all have asked.
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
    """How many there are. torchrun says so to each of them."""
    return int(os.environ["WORLD_SIZE"]) if "RANK" in os.environ else 1


def own() -> int:
    """The number of this one, from 0."""
    return int(os.environ.get("RANK", 0))


def is_first() -> bool:
    """Whether this is the one that writes files and prints."""
    return own() == 0


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Inside, the processes can talk; each has a GPU of its own where they are on GPUs."""
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
    """Waits for the others."""
    everyones(None)


def everyones(item: T) -> list[T]:
    """What each process has here, by its number."""
    if count() == 1:
        return [item]
    import torch.distributed as dist

    items: list[T | None] = [None] * count()
    dist.all_gather_object(items, item)
    return items  # type: ignore[return-value]


def agreed(value: T) -> T:
    """What the first process says, for whatever each might see another way, such as a clock."""
    return everyones(value)[0]


def total(tensor: torch.Tensor) -> torch.Tensor:
    """The sum over the processes."""
    if count() > 1:
        import torch.distributed as dist

        dist.all_reduce(tensor)
    return tensor


def in_step(pieces: Sequence[T], filler: T) -> Iterator[tuple[T, int]]:
    """The pieces of work of this process with weight 1, then fillers with weight 0 while others have more."""
    longest = max(everyones(len(pieces)))
    yield from [(piece, 1) for piece in pieces]
    yield from [(filler, 0)] * (longest - len(pieces))
