"""Opens the hf engine. This file imports no torch, so that a command that needs no model answers at once."""

from __future__ import annotations

from dataclasses import dataclass

from scorebench.api.protocols import Engine, ModelSpec
from scorebench.engines.loading import HFOptions, load_model, load_tokenizer


@dataclass(frozen=True)
class _Opener:
    """`--engine hf`."""

    options: type[HFOptions] = HFOptions

    def __call__(self, spec: ModelSpec) -> Engine:
        """The engine, with the model on its device. batch_size: 256 dialogues on a GPU, 64 elsewhere, by default."""
        from scorebench.engines.hf.engine import HFEngine

        model = load_model(spec)
        slots = spec.batch_size or (256 if model.device.type == "cuda" else 64)
        own = (spec.system_prompt, spec.template_args, spec.context_length)
        return HFEngine(model, load_tokenizer(spec), slots, *own)


open_engine = _Opener()
