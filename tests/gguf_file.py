"""A tiny random Qwen2 as a GGUF file, written by the package gguf itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from gguf import GGUFWriter
from transformers import Qwen2Config, Qwen2ForCausalLM

from tests import tiny

_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}


def write(file: Path, architecture: str = "qwen2") -> Any:
    """Writes the file, and returns the model whose weights it holds."""
    torch.manual_seed(0)
    model: Any = Qwen2ForCausalLM(Qwen2Config(**{**tiny._SIZE, "vocab_size": 261})).eval()
    tokenizer = tiny.tokenizer()
    writer = GGUFWriter(file, architecture)
    writer.add_context_length(512)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_freq_base(model.config.rope_parameters["rope_theta"])
    writer.add_vocab_size(261)
    tokens = [*(tokenizer.convert_ids_to_tokens(i) for i in range(260)), "ab"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3] * 4 + [1])
    writer.add_token_merges(["a b"])  # a list that is empty cannot be written
    writer.add_eos_token_id(259)
    writer.add_bos_token_id(259)
    writer.add_chat_template(tiny.TEMPLATE)
    for name, tensor in model.state_dict().items():
        for theirs, short in _NAMES.items():
            name = name.replace(theirs, short)
        writer.add_tensor(name.replace("model.layers", "blk"), tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return model
