"""Every causal architecture of transformers, built tiny, against the hf engine and the logits of training.

    python -m tests.architectures [NAME ...]

prints the table of docs/engines.md. Each model is random. Three dialogues of two greedy turns are played in one batch;
their prompts have different lengths, all but the first longer than the sliding windows and chunks. Every reply is
compared with `generate`, token for token, and the logits that training computes with the model's own.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scorebench.api.errors import UserError
from scorebench.api.types import Reply, Sampling
from scorebench.engines.hf.engine import HFEngine
from scorebench.engines.logits import decoder_of, logits_of
from tests import tiny

TOKENS = 16
LENGTHS = (6, 50, 90)  # characters of the questions; a character is a token

# What is made small, where a configuration has a field of this name.
SMALL: dict[str, Any] = {
    "vocab_size": 260, "hidden_size": 32, "d_model": 32, "n_embd": 32, "dim": 32, "embedding_size": 32,
    "intermediate_size": 64, "ffn_dim": 64, "decoder_ffn_dim": 64, "encoder_ffn_dim": 64, "n_inner": 64,
    "ffn_hidden_size": 64, "shared_intermediate_size": 64, "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32, "expert_ffn_hidden_size": 32, "moe_shared_expert_intermediate_size": 32,
    "intermediate_size_mlp": 64, "dense_intermediate_size": 64, "num_hidden_layers": 4, "num_layers": 4, "n_layer":
    4, "n_layers": 4, "decoder_layers": 4, "encoder_layers": 2, "num_attention_heads": 4, "n_head": 4, "n_heads": 4,
    "num_heads": 4, "decoder_attention_heads": 4, "encoder_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8, "global_head_dim": 8, "d_kv": 8, "max_position_embeddings": 512, "n_positions": 512, "n_ctx":
    512, "max_seq_len": 512, "seq_length": 512, "max_sequence_length": 512, "num_experts": 4, "num_local_experts":
    4, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_topk": 2, "n_group": 1, "topk_group": 1,
    "num_shared_experts": 1, "n_shared_experts": 1, "first_k_dense_replace": 1, "moe_num_experts": 4, "moe_k": 2,
    "q_lora_rank": 16, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8,
    "qk_head_dim": 16, "sliding_window": 16, "attention_chunk_size": 16, "window_size": 16,
    "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": 260, "word_embed_proj_dim": 32, "rotary_dim": 4,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 259, "decoder_start_token_id": 1, "tie_word_embeddings":
    False, "num_kv_shared_layers": 0, "use_sliding_window": True, "max_window_layers": 2, "is_decoder": True,
    "use_mamba_kernels": False, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "state_size": 8,
    "ssm_state_size": 8, "num_ln_in_parallel_attn": 2, "linear_num_key_heads": 2, "linear_num_value_heads": 2,
    "linear_key_head_dim": 8, "linear_value_head_dim": 8, "index_n_heads": 2, "index_head_dim": 8, "index_topk":
    512,
}  # fmt: skip

# The configurations in a configuration.
PARTS = ("text_config", "decoder", "language_config", "vision_config", "audio_config", "attn_config", "ffn_config")

# What an architecture needs beside that.
ALSO: dict[str, dict[str, Any]] = {
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "dots1": {"moe_intermediate_size": 32, "n_shared_experts": 1},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1},
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1},
    "lfm2": {"layer_types": ["conv", "full_attention", "conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention", "conv", "full_attention"]},
    "zamba2": {
        "layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"],
        "hybrid_layer_ids": [1, 3],
        "mamba_ngroups": 1,
    },
    "zaya": {"num_experts_per_tok": 1},
    "cohere_compass_text": {"layer_types": ["full_attention"] * 4},
    "gemma4_assistant": {"text_config": {"hidden_size_per_layer_input": 0}},
    "dots3_note_text": {"n_routed_experts": 4, "moe_intermediate_size": 32},
    "qwen4_exp": {"text_config": {"num_key_value_heads": 2}},
}


@dataclass(frozen=True)
class Result:
    """What became of one architecture.

    plays: all replies are those of `generate`. said: why it does not play, or what else there is to say.
    logits_gap: the largest difference of training's logits from the model's own; None if there is nothing to compare.
    """

    name: str
    plays: bool
    said: str = ""
    logits_gap: float | None = None

    @property
    def row(self) -> str:
        """The architecture's line in docs/engines.md."""
        trainable = (
            "-" if self.logits_gap is None else "yes" if self.logits_gap <= 1e-5 else f"no ({self.logits_gap:.1g})"
        )
        return f"| {self.name} | {'plays' if self.plays else 'no'} | {trainable} | {self.said} |"

    @property
    def kind(self) -> str:
        """What became of it, in a word or two."""
        if self.plays:
            return "plays"
        kinds = ("refused", "not built tiny", "no forward pass")
        return next((kind for kind in kinds if self.said.startswith(kind)), "differs")


PAGE = Path(__file__).parents[1] / "docs" / "engines.md"


def listed() -> dict[str, Result]:
    """The rows of the table in docs/engines.md, by architecture."""
    rows = re.findall(
        r"^\| (\S+) \| (plays|no) \| (\S.*?) \| (.*?) ?\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    gaps = {"yes": 0.0, "-": None}
    return {name: Result(name, plays == "plays", said, gaps.get(gap, 1.0)) for name, plays, gap, said in rows}


def counted(results: Iterable[Result]) -> str:
    """The last line of the page."""
    kinds = Counter(result.kind for result in results)
    return f"{kinds.total()} architectures: {kinds['plays']} play, {kinds['refused']} are refused."


def names() -> list[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def build(name: str, **also: Any) -> Any:
    """A random tiny model of this architecture, in float32; its choices are no near ties."""
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kind = CONFIG_MAPPING[name]
    config = small(kind, {**ALSO.get(name, {}), **also})
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in AutoModelForCausalLM.from_config(config).parameters())
    if size > 20_000_000:
        raise ValueError(f"{size / 1e6:,.0f} million parameters are not tiny")
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    model.generation_config.eos_token_id = 259
    model.generation_config.pad_token_id = 0
    return model


def small(kind: Any, also: dict[str, Any]) -> Any:
    """A configuration with its fields made small, and those of the configurations in it."""
    default = kind()
    known = {*default.to_dict(), *kind.attribute_map}
    optional = {"sliding_window", "head_dim", "num_key_value_heads", "n_routed_experts", "num_experts_per_tok"}
    given = {
        name: small
        for name, small in SMALL.items()
        if name in known
        and not isinstance(getattr(kind, name, None), property)
        and (name in optional or default.to_dict().get(kind.attribute_map.get(name, name)) is not None)
    }
    if "kv_lora_rank" in given:  # multi-head latent attention has as many heads of keys as of queries
        given |= {"num_key_value_heads": 4} if "num_key_value_heads" in known else {}
    for part in PARTS:
        if hasattr(inner := getattr(default, part, None), "to_dict"):
            given[part] = small(type(inner), also.get(part, {})).to_dict()
    for name in ("layer_types", "rope_parameters", "mlp_layer_types", "layers_block_type"):
        given.pop(name, None)
    return kind(**{**given, **also})


def two_turns(engine: HFEngine) -> list[Reply]:
    async def dialogue(number: int, length: int) -> tuple[Reply, Reply]:
        question = ({"role": "user", "content": f"{number}" + "abcdefg"[number % 7] * length},)
        first = engine.chat.first(question)  # type: ignore[arg-type]
        one = await engine.reply(first, (), Sampling(max_tokens=TOKENS), 0)
        again = ({"role": "user", "content": "again?"},)
        two = await engine.reply(engine.chat.extend(first, one, again), (), Sampling(max_tokens=TOKENS), 0)  # type: ignore[arg-type]
        return one, two

    async def together() -> list[Reply]:
        played = await asyncio.gather(*(dialogue(i, length) for i, length in enumerate(LENGTHS)))
        return [reply for pair in played for reply in pair]

    return asyncio.run(together())


def as_generated(model: Any, prompt_ids: tuple[int, ...], **options: Any) -> list[int]:
    prompt = torch.tensor([prompt_ids])
    mask = torch.ones_like(prompt)
    out = model.generate(prompt, attention_mask=mask, do_sample=False, max_new_tokens=TOKENS, **options)
    return out[0, len(prompt_ids) :].tolist()


def logits_gap(model: Any) -> float:
    """The largest difference between the logits of training and the model's own."""
    ids = torch.tensor([[40 + i % 50 for i in range(40)]])
    states: list[torch.Tensor] = []
    hook = decoder_of(model).register_forward_hook(lambda _, args, out: states.append(out.last_hidden_state))
    with torch.no_grad():
        try:
            whole = model(input_ids=ids, use_cache=False).logits[0].float()
        finally:
            hook.remove()
        return (logits_of(model, states[0][0]) - whole).abs().max().item()


def examine(name: str, **also: Any) -> Result:
    """Builds the architecture, plays it and compares. also: fields of its configuration."""
    try:
        model = build(name, **also)
    except Exception as fault:  # whatever a configuration that was made small raises
        return Result(name, False, f"not built tiny ({_line(fault)})")
    try:
        gap = logits_gap(model)
    except Exception as fault:
        return Result(name, False, f"no forward pass on text alone ({_line(fault)})")
    try:
        replies = two_turns(HFEngine(model, tiny.tokenizer(), slots=3))
    except UserError as refusal:
        reason = str(refusal).partition(": ")[2].removesuffix("; take --engine vllm.")
        return Result(name, False, f"refused: {reason}", gap)
    if all(list(r.token_ids) == as_generated(model, r.prompt_ids) for r in replies):
        return Result(name, True, logits_gap=gap)
    if all(list(r.token_ids) == as_generated(model, r.prompt_ids, use_cache=False) for r in replies):
        return Result(name, True, "as `generate` without its cache; with its cache it says something else", gap)
    return Result(name, False, "DIFFERS from generate", gap)


def _line(fault: Exception) -> str:
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:120].replace("|", "/")


def main(wanted: list[str]) -> None:
    """Prints the table."""
    results = []
    print("| architecture | hf engine | trainable | remarks |\n|---|---|---|---|", flush=True)
    for name in wanted or names():
        results.append(examine(name))
        print(results[-1].row, flush=True)
    print(f"\n{counted(results)}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    main(sys.argv[1:])
