"""Which weights a training changes, and how it holds them: what `--set` can say of every method that trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from scorebench.api.config import changed


class Lora(BaseModel):
    """Low-rank adaptation (Hu et al., arXiv 2106.09685): the weights stay, and an adapter beside them is trained.

    rank: of the adapter; 0 is none, and all weights are trained. alpha: its product is scaled by alpha / rank.
    targets: names of the layers that get one; without names every linear layer but the output's. There is no dropout:
    the policy that is trained has to be the one that sampled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: Annotated[int, Field(ge=0)] = 0
    alpha: Annotated[float, Field(gt=0)] = 32.0
    targets: tuple[str, ...] = ()


class Tuning(BaseModel):
    """gradient_checkpointing: layers keep their inputs alone and are computed again in the backward pass."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lora: Lora = Lora()
    gradient_checkpointing: bool = False


def tuning_from(assignments: Sequence[str]) -> tuple[Tuning, list[str]]:
    """The tuning that `--set` asks for, and the assignments that are the method's own."""
    own = [a for a in assignments if a.partition("=")[0].strip().partition(".")[0] not in Tuning.model_fields]
    return changed(Tuning(), [a for a in assignments if a not in own]), own
