"""Tiny models with the architectures of real ones, random weights, and a byte-level tokenizer with a chat template."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def tokenizer(template: str | None = TEMPLATE) -> PreTrainedTokenizerFast:
    """One token a byte, the roles, and the end of a turn: 260 tokens."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={b: i for i, b in enumerate(bytes_)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens(["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"])
    made = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", clean_up_tokenization_spaces=False)
    made.chat_template = template
    return made


_SIZE: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
    "eos_token_id": 259,
    "pad_token_id": 0,
    "bos_token_id": None,
}


def model(kind: str = "llama", seed: int = 0, sharpness: float = 4.0) -> Any:
    """A random model in float32. sharpness scales its output weights, so that its choices are not all near ties."""
    torch.manual_seed(seed)
    if kind == "llama":
        made = LlamaForCausalLM(LlamaConfig(**_SIZE))
    elif kind == "qwen3":
        made = Qwen3ForCausalLM(Qwen3Config(head_dim=8, **_SIZE))
    else:
        made = Gemma2ForCausalLM(Gemma2Config(head_dim=8, sliding_window=16, **_SIZE))
    with torch.no_grad():
        for p in made.parameters():
            if p.ndim > 1:
                p.mul_(sharpness)
    return made.eval()


def tied(seed: int = 0) -> Any:
    """The tiny Llama with the output layer that most small models have: its embedding."""
    torch.manual_seed(seed)
    sizes: dict[str, Any] = {**_SIZE, "tie_word_embeddings": True}
    return LlamaForCausalLM(LlamaConfig(**sizes)).eval()
