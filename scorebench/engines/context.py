"""How long a sequence may be, and what is said to a prompt that leaves no room for a reply."""

from __future__ import annotations

from typing import Any

from scorebench.api.errors import PromptTooLongError
from scorebench.api.types import Message, Reply

LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len")  # what configurations call it


def context_of(config: Any) -> int | None:
    """The longest sequence that the model's configuration speaks of; None where it names no limit, as with ALiBi.

    "dynamic" frequencies change only beyond this length, so within it they depend on nothing.
    """
    for name in LENGTHS:
        if isinstance(length := getattr(config, name, None), int) and length > 0:
            return length
    return None


def beyond_context(prompt_ids: tuple[int, ...], messages: tuple[Message, ...], context: int) -> Reply:
    """What is said to a prompt that leaves no room for a reply.

    A dialogue that earlier replies made too long gets an empty reply that was cut off: that is the model's doing.
    A first prompt that does not fit is a matter of the task and the model: PromptTooLongError.
    """
    if any(message["role"] == "assistant" for message in messages):
        return Reply("", finish_reason="length", prompt_ids=prompt_ids, prompt_tokens=len(prompt_ids))
    raise PromptTooLongError(f"the prompt has {len(prompt_ids):,} tokens, and the model's context {context:,}")
