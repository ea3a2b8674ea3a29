"""A tokenizer with a token for every phrase and every number of a small world, and bytes for everything else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import PreTrainedTokenizerFast

PAD, END = "<|pad|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def build_tokenizer(phrases: Sequence[str], largest: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE without merges: a phrase or an integer up to `largest` is one token, other text is its bytes.

    At each place the longest phrase that fits is taken. Decoding gives back every text exactly.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = sorted(pre_tokenizers.ByteLevel.alphabet())
    words += [spell(bytewise, text) for text in (*(str(n) for n in range(largest + 1)), *phrases)]
    vocabulary = {word: index for index, word in enumerate(dict.fromkeys((PAD, END, *ROLES, *words)))}
    # ignore_merges: a piece that is in the vocabulary is taken whole, though no merge leads to it.
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    longest_first = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    pieces = "|".join([*(re.escape(phrase) for phrase in longest_first), "[0-9]+"])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pieces), "isolated"), bytewise])  # type: ignore
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        additional_special_tokens=list(ROLES),
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
        padding_side="left",
    )


def spell(bytewise: ByteLevel, text: str) -> str:
    """A text as byte-level BPE writes it in its vocabulary."""
    return "".join(piece for piece, _ in bytewise.pre_tokenize_str(text))
