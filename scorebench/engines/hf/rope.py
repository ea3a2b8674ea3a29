"""Rotary positions that depend on how long a sequence is: where a batch must not mix lengths."""

from __future__ import annotations

from typing import Any


def long_from(config: Any) -> int | None:
    """The length above which all positions of a sequence get other frequencies ("longrope"), or None.

    transformers chooses the frequencies by the longest sequence of a batch. So that a reply does not depend on its
    neighbours, longer and shorter rows go through the model apart, and a row that grows beyond this length is computed
    anew, as Phi-3's own generation does.
    """
    for rope in _ropes(config):
        if rope.get("rope_type") == "longrope":
            return rope.get("original_max_position_embeddings") or config.max_position_embeddings
    return None


def _ropes(config: Any) -> list[dict[str, Any]]:
    """The rotary settings of a model: one for all of its layers, or one for each kind of layer."""
    rope = getattr(config, "rope_parameters", None) or {}
    return [rope] if "rope_type" in rope else [part for part in rope.values() if isinstance(part, dict)]
