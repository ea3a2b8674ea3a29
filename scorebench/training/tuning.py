"""Which weights a training changes, how it holds them, and how it is watched: what `--set` can say of every method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from scorebench.api.config import changed


class Lora(BaseModel):
    """Low-rank adaptation (Hu et al., arXiv 2106.09685): the weights stay, and an adapter beside them is trained.

    rank: of the adapter; 0 means that there is none and all weights are trained. alpha: the adapter's product is scaled
    by alpha / rank. targets: names of the layers that get one; without names every linear layer except the output's.
    There is no dropout: the policy that is trained has to be the one that sampled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rank: Annotated[int, Field(ge=0)] = 0
    alpha: Annotated[float, Field(gt=0)] = 32.0
    targets: tuple[str, ...] = ()


class Tuning(BaseModel):
    """What every training can be told, whatever its method.

    gradient_checkpointing: layers keep their inputs alone and are computed again in the backward pass.
    evaluate_every: steps from one evaluation on validation problems to the next; 0 for none. evaluate_problems: on how
        many of them.
    select_by: which weights a stage ends with. "reward": for reinforcement learning those of the best training reward,
        for fine-tuning the last ones. "validation": those of the best evaluation, by the mean of its accuracies.
    rollouts_every: the dialogues of every so many steps are written to rollouts.jsonl; 0 for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lora: Lora = Lora()
    gradient_checkpointing: bool = False
    evaluate_every: Annotated[int, Field(ge=0)] = 0
    evaluate_problems: Annotated[int, Field(ge=1)] = 64
    select_by: Literal["reward", "validation"] = "reward"
    rollouts_every: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _validation_needs_evaluations(self) -> Tuning:
        if self.select_by == "validation" and not self.evaluate_every:
            raise ValueError("select_by=validation needs evaluations; add evaluate_every=N")
        return self

    def identity(self) -> dict[str, Any]:
        """What of it can change a weight, where it is not as usual: part of what a training is."""
        watching = {"rollouts_every"}
        if self.select_by == "reward":
            watching |= {"evaluate_every", "evaluate_problems"}
        return self.model_dump(exclude_defaults=True, exclude=watching)


def tuning_from(assignments: Sequence[str]) -> tuple[Tuning, list[str]]:
    """The tuning that `--set` asks for, and the assignments that are the method's own."""
    own = [a for a in assignments if a.partition("=")[0].strip().partition(".")[0] not in Tuning.model_fields]
    return changed(Tuning(), [a for a in assignments if a not in own]), own
