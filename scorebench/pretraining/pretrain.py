"""Makes the checkpoint of a small world: `python -m scorebench.pretraining.pretrain --world math --out DIR`.

Dialogues are generated and tokenised as the engine will continue them. A small Llama learns them, with a loss on the
replies only, in phases: in the first nearly all first attempts are worked out; the second adds guesses; the third adds
errors in the last step. Then the model is tested on validation problems, and all figures go to DIR/making.json. The
model for math starts from random weights. The model for code starts from the model for math, because it needs its
tables of arithmetic.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from scorebench.embedded import model_path
from scorebench.embedded.equations import LARGEST
from scorebench.pretraining.documents import Phase, Turn, documents
from scorebench.pretraining.examine import examine
from scorebench.pretraining.repairs import freeze
from scorebench.pretraining.tokenizer import END, PAD, build_tokenizer
from scorebench.pretraining.worlds import WORLDS, World

TOKENS_PER_STEP = 4096
DOCUMENTS_SORTED = 2048  # drawn, sorted by length and cut into batches together, to waste little padding
LEARNED_PER_STEP = 1500  # about the learned tokens of a batch; constant, so that all documents have the same weight
# With habits from the start it never learned to solve. With slips at the first phase's rate it forgot how to solve.
SCHOOL = Phase("school", 2600, rate=4e-3, quick=0.1, quick_hasty=0.1, slips=0.0, misread=0.7)
HABITS = Phase("habits", 900, rate=4e-3, quick=0.45, quick_hasty=0.9, slips=0.0, misread=0.7)
SLIPS = Phase("slips", 350, rate=2e-3, quick=0.1, quick_hasty=0.9, slips=0.5, misread=0.65)
# The model for code can check and solve from the start. With math's share of slips, plain multi-turn RL found checking.
SLIPS_IN_CODE = replace(SLIPS, steps=500, slips=0.6, misread=0.6)
PHASES = {"math": (SCHOOL, HABITS, SLIPS), "code": (replace(SCHOOL, steps=600), SLIPS_IN_CODE)}
EXAMINED = 500  # validation problems
HIDDEN, LAYERS, HEADS = 128, 2, 4
PERIODS = tuple(LARGEST / k for k in range(1, LARGEST // 2 + 1))


def encode(tokenizer: PreTrainedTokenizerFast, dialogue: list[Turn]) -> tuple[list[int], list[bool]]:
    """Ids of a dialogue and which of them are learned: the replies with their end of turn.

    Each reply is a segment of its own, since in a dialogue sampled ids are kept and never tokenised again.
    """
    ids: list[int] = []
    learned: list[bool] = []
    for turn in dialogue:
        asked = tokenizer.encode(f"<|user|>{turn.user}{END}<|assistant|>", add_special_tokens=False)
        replied = tokenizer.encode(turn.reply + END, add_special_tokens=False)
        ids += asked + replied
        learned += [False] * len(asked) + [turn.learned] * len(replied)
    return ids, learned


def batches(
    tokenizer: PreTrainedTokenizerFast, world: World, phase: Phase, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Endless batches (ids_BT, learned_BT), padded on the right. Documents of similar length share a batch."""
    rng = random.Random(seed if phase.name == "habits" else f"{seed} {phase.name}")  # as the shipped model was made
    source = documents(world, phase, rng)
    pad = tokenizer.pad_token_id
    while True:
        rows = sorted((encode(tokenizer, next(source)) for _ in range(DOCUMENTS_SORTED)), key=lambda row: len(row[0]))
        cut: list[list[tuple[list[int], list[bool]]]] = [[]]
        for row in rows:
            if cut[-1] and (len(cut[-1]) + 1) * len(row[0]) > TOKENS_PER_STEP:
                cut.append([])
            cut[-1].append(row)
        rng.shuffle(cut)
        for group in cut:
            width = len(group[-1][0])
            ids = [ids + [pad] * (width - len(ids)) for ids, _ in group]
            learned = [learned + [False] * (width - len(learned)) for _, learned in group]
            yield torch.tensor(ids), torch.tensor(learned)


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """An untrained Llama whose integer embeddings start as Fourier features, so that near numbers begin alike."""
    torch.manual_seed(seed)
    vocabulary = tokenizer.get_vocab()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=3 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[PAD],
    )
    model = LlamaForCausalLM(config)
    number = torch.arange(LARGEST + 1)
    phase = 2 * math.pi * number[:, None] / torch.tensor(PERIODS)
    features = torch.cat([phase.cos(), phase.sin()], dim=1)
    ids = [vocabulary[str(n)] for n in number.tolist()]
    with torch.no_grad():
        for table in (model.model.embed_tokens.weight, model.lm_head.weight):
            table[ids, : features.shape[1]] = 0.05 * features
    return model


def inherit(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, folder: Path) -> str:
    """Gives a new model the weights of the one for math; returns their SHA-256.

    Tokens of both worlds keep their embeddings. A phrase in `heirs` starts with the embedding of the phrase that it is
    mapped to. All other tokens keep the embeddings that new_model made.
    """
    parent = LlamaForCausalLM.from_pretrained(folder)
    theirs = PreTrainedTokenizerFast.from_pretrained(folder)
    pairs = [(index, theirs.get_vocab().get(token)) for token, index in tokenizer.get_vocab().items()]
    pairs += [(one_token(tokenizer, heir), one_token(theirs, like)) for heir, like in world.heirs.items()]
    own, inherited = (list(indices) for indices in zip(*(pair for pair in pairs if pair[1] is not None), strict=True))
    weights = parent.state_dict()
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        table = model.state_dict()[name].clone()
        table[own] = weights[name][inherited]
        weights[name] = table
    model.load_state_dict(weights)
    return sha256_of(folder)


def one_token(tokenizer: PreTrainedTokenizerFast, phrase: str) -> int:
    (index,) = tokenizer.encode(phrase, add_special_tokens=False)
    return index


def train(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, phase: Phase, seed: int
) -> dict[str, Any]:
    """One phase: Muon for the matrices, Adam for embeddings and norms; warm-up, then linear decay to nothing."""
    model.train()
    steps = phase.steps
    inner = [p for p in model.model.layers.parameters() if p.ndim == 2]
    inside = {id(p) for p in inner}
    outer = [p for p in model.parameters() if id(p) not in inside]
    optimizers = [
        torch.optim.Muon(inner, lr=phase.rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.Adam(outer, lr=phase.rate, betas=(0.9, 0.98)),
    ]
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(o, lambda step: min((step + 1) / 100, 1 - step / steps)) for o in optimizers
    ]
    began, tokens, losses, recent = time.monotonic(), 0, [], 0.0
    for step, (ids_BT, learned_BT) in zip(range(steps), batches(tokenizer, world, phase, seed), strict=False):
        target_BT = ids_BT[:, 1:]
        weight_BT = learned_BT[:, 1:]
        # Right padding comes after every real token, so causal attention needs no mask.
        hidden_BTD = model.model(ids_BT[:, :-1], attention_mask=None, use_cache=False).last_hidden_state
        logits_NV = model.lm_head(hidden_BTD[weight_BT])
        loss = torch.nn.functional.cross_entropy(logits_NV, target_BT[weight_BT], reduction="sum") / LEARNED_PER_STEP
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
        tokens += ids_BT.numel()
        recent += float(loss.detach()) * LEARNED_PER_STEP / max(1, int(weight_BT.sum())) / 100
        if (step + 1) % 100 == 0:
            losses.append(round(recent, 4))
            seconds = time.monotonic() - began
            print(
                f"step {step + 1}/{steps}  loss {recent:.4f}  {tokens / seconds:,.0f} tokens/s  {seconds:.0f} s",
                flush=True,
            )
            recent = 0.0
    seconds = round(time.monotonic() - began, 1)
    return {**asdict(phase), "seconds": seconds, "tokens": tokens, "loss_per_100_steps": losses}


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> str:
    """Writes the checkpoint folder; returns the SHA-256 of its weights."""
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=True, max_new_tokens=96
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return sha256_of(out)


def sha256_of(folder: Path) -> str:
    """Of a checkpoint's weights."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", choices=sorted(WORLDS), default="math")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--from", dest="parent", type=Path, help="The checkpoint to begin with, for code that of math.")
    options = parser.parse_args()
    torch.set_num_threads(1)
    world = WORLDS[options.world]
    parent = options.parent or (model_path("math") if world.name == "code" else None)
    tokenizer = build_tokenizer(world.phrases(), LARGEST)
    model = new_model(tokenizer, options.seed)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens")
    making = {"world": world.name, "seed": options.seed, "parameters": model.num_parameters()}
    if parent:
        making["from"] = inherit(model, tokenizer, world, parent)
    making["phases"] = [train(model, tokenizer, world, phase, options.seed) for phase in PHASES[world.name]]
    making["sha256"] = save(model, tokenizer, options.out)
    making["validation"] = {
        task.name: examine(model, tokenizer, world, task, EXAMINED, options.seed) for task in world.tasks
    }
    if world.name == "code":
        making["wrong programs"] = freeze(model, tokenizer, options.out)
    (options.out / "making.json").write_text(json.dumps(making, indent=1) + "\n")


if __name__ == "__main__":
    main()
