"""One step of training, rollout and update: ours against TRL's GRPO and RLOO trainers, on the same model and problems.

    pip install trl==1.16.*        # of no use to scorebench itself
    python benchmarks/training_step.py [--problems 64] [--samples 8] [--steps 2]
    python benchmarks/training_step.py --model FILE.gguf --dtype bfloat16 --problems 4 --samples 4 --steps 1

The embedded model and its problems; or the model that is named, with an adapter of rank 16 on all linear layers, on
problems of arithmetic. Temperature 1, one thread. A step of ours is Stage II of SCoRe: problems x samples
dialogues of two turns, graded, then one gradient step with the KL of both turns. TRL has no second turn. Its trainers
get as many completions of the same two kinds of prompt: half of them answer a question, and half answer a request for
another attempt. There the model's first attempt is written into the prompt beforehand, which costs TRL nothing. TRL's
KL is on too, and its reward is our grader. Printed are sampled tokens a second. The update is everything except
generation and grading; for both it includes the reference's log-probabilities. The first step of each is not counted;
the other steps are taken in turns. Seconds are processor time, which other load changes little. The peak of memory is
that of the process so far, so it is told for ours before TRL begins.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scorebench import embedded
from scorebench.api.protocols import ModelSpec, Source, Task
from scorebench.api.types import Problem, Sampling
from scorebench.dialogue.player import Player
from scorebench.engines.hf.engine import HFEngine
from scorebench.engines.loading import load_model, load_tokenizer
from scorebench.methods.score import score
from scorebench.tasks import arithmetic, math
from scorebench.training.monitor import peak_memory
from scorebench.training.objective import Stage
from scorebench.training.optimizer import adam
from scorebench.training.rollout import collect
from scorebench.training.tuning import Lora, Tuning
from scorebench.training.update import update
from scorebench.training.weights import prepare

SLOTS = 256  # dialogues decoded at once, as in a training
GRADERS = ThreadPoolExecutor(4)
LONGEST = 96  # tokens of a reply
RATE = 1e-6  # so small that every step is of the same policy, nearly
KL = 0.01
CLIP = 1.0  # the largest norm of a gradient, ours and TRL's
RANK, ALPHA = 16, 32  # of the adapter of a named model
BUDGET = 8192  # tokens in memory at a time in an update, ours by default
TRL_ROWS = 128  # completions in memory at a time in an update; with 64 and 256 a step takes as long within 11 %
TRL_ROWS_NAMED = 16  # the same for a named model: with all 32 of a step, logits alone took TRL beyond 20 GB


@dataclass
class Step:
    """Seconds of a step, those of them that were generation and grading, and the tokens that were sampled."""

    seconds: float
    rollout: float
    tokens: int


@dataclass
class Work:
    """What is trained, and on what. rank: of the adapter; 0 for all weights."""

    spec: ModelSpec
    task: Task
    problems: list[Problem]
    samples: int
    rank: int

    def loaded(self) -> tuple[Any, Any]:
        return load_model(self.spec), load_tokenizer(self.spec)


class Ours:
    name = "scorebench"

    def __init__(self, work: Work) -> None:
        self.work = work
        model, self.tokenizer = work.loaded()
        self.policy, self.reference = prepare(model, Tuning(lora=Lora(rank=work.rank, alpha=ALPHA)), seed=0)
        self.stage = Stage(reward=(1, 1), kl=(KL, KL), alpha=10, steps=1, learning_rate=RATE)
        self.optimizer = adam(self.policy, RATE)
        self.engine = HFEngine(self.policy, self.tokenizer, SLOTS)

    def steps(self, count: int) -> list[Step]:
        return [self.step(seed) for seed in range(count)]

    def step(self, seed: int) -> Step:
        start = time.process_time()
        sampling = Sampling(temperature=1.0, max_tokens=LONGEST)
        player = Player(score, self.work.task, self.engine, sampling, 2, seed, GRADERS)
        played = asyncio.run(collect(player, self.work.problems, self.work.samples))
        self.engine.forget()
        middle = time.process_time()
        update(self.policy, self.reference, self.optimizer, played, self.stage, [0.0, 0.0], 1.0, BUDGET, CLIP)
        tokens = sum(a.reply.tokens for e in played.episodes for a in e.attempts)
        return Step(time.process_time() - start, middle - start, tokens)


def prompts(work: Work) -> list[dict[str, Any]]:
    """A row for each problem's first turn and for its second, which continues a sampled first attempt."""
    model, tokenizer = work.loaded()
    engine = HFEngine(model, tokenizer, SLOTS)
    player = Player(score, work.task, engine, Sampling(temperature=1.0, max_tokens=LONGEST), 2, 0, GRADERS)
    played = asyncio.run(collect(player, work.problems, 1))
    rows = []
    for number, episode in enumerate(played.episodes):
        for attempt in episode.attempts:
            rows.append({"prompt": tokenizer.decode(attempt.reply.prompt_ids), "number": number})
    return rows


def trl_steps(kind: str, work: Work, count: int) -> list[Step]:
    """`count` steps of one of TRL's trainers, after one that is not counted."""
    import trl  # type: ignore
    from datasets import Dataset  # type: ignore
    from transformers import TrainerCallback

    rows, samples = prompts(work), work.samples
    at_once = min(TRL_ROWS_NAMED if work.rank else TRL_ROWS, len(rows) * samples)
    spent = {"rollout": 0.0, "tokens": 0}
    steps: list[Step] = []

    def reward(prompts: list[str], completions: list[str], completion_ids: Any, number: list[int], **_: Any) -> Any:
        spent["tokens"] += sum(map(len, completion_ids))
        return [
            float(work.task.grade(work.problems[n], text).passed) for n, text in zip(number, completions, strict=True)
        ]

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            spent.update(rollout=0.0, tokens=0)
            self.start = time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            steps.append(Step(time.process_time() - self.start, spent["rollout"], int(spent["tokens"])))

    model, tokenizer = work.loaded()
    config = getattr(trl, f"{kind}Config")(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=len(rows) * samples // at_once,
        num_generations=samples,
        max_completion_length=LONGEST,
        temperature=1.0,
        top_k=0,
        beta=KL,
        learning_rate=RATE,
        max_grad_norm=CLIP,
        max_steps=count + 1,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_steps=10**6,
        seed=0,
    )
    trainer = getattr(trl, f"{kind}Trainer")(
        model=model,
        reward_funcs=reward,
        args=config,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        callbacks=[Clock()],
        peft_config=_adapter(work.rank),
    )
    for part in ("_generate", "_calculate_rewards"):
        setattr(trainer, part, clocked(getattr(trainer, part), spent))
    trainer.train()
    return steps[1:]


def _adapter(rank: int) -> Any:
    from peft import LoraConfig

    if not rank:
        return None
    return LoraConfig(r=rank, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")


def clocked(call: Callable[..., Any], spent: dict[str, float]) -> Callable[..., Any]:
    def inner(*args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        found = call(*args, **kwargs)
        spent["rollout"] += time.process_time() - start
        return found

    return inner


def speeds(steps: list[Step]) -> tuple[float, float, float]:
    """Tokens a second of whole steps, of rollouts, of updates: medians."""
    kinds = (lambda s: s.seconds, lambda s: s.rollout, lambda s: s.seconds - s.rollout)
    whole, rollout, rest = (statistics.median(s.tokens / of(s) for s in steps) for of in kinds)
    return whole, rollout, rest


def main() -> None:
    parser = argparse.ArgumentParser(description="One step of training against TRL's GRPO and RLOO.")
    parser.add_argument("--problems", type=int, default=64)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2, help="counted steps of each before and after the next one's")
    parser.add_argument("--model", help="a folder, a GGUF file or a name on the hub")
    parser.add_argument("--dtype", default="float32")
    args = parser.parse_args()
    torch.set_num_threads(1)
    path = args.model or str(embedded.model_path("math"))
    spec = ModelSpec(path, path, dtype=args.dtype, device="cpu")
    task = arithmetic.task if args.model else math.task
    problems = list(task.load("train", Source("hub" if args.model else "embedded")).problems[: args.problems])
    work = Work(spec, task, problems, args.samples, RANK if args.model else 0)
    mine = Ours(work)
    mine.step(0)
    found: dict[str, list[Step]] = {Ours.name: mine.steps(args.steps)}
    print(f"peak memory of ours: {peak_memory()}", flush=True)
    for kind in ("GRPO", "RLOO"):
        found[kind] = trl_steps(kind, work, args.steps)
        print(f"peak memory after {kind}: {peak_memory()}", flush=True)
        found[Ours.name] += mine.steps(args.steps)
    ours = speeds(found[Ours.name])
    print(f"{args.problems} problems x {args.samples} samples x 2 turns, torch {torch.__version__}; tokens a second")
    print(f"{'':10}  {'step':>8}  {'rollout':>8}  {'update':>8}  {'tokens':>7}   ratio of ours, step and update")
    for name, steps in found.items():
        whole, rollout, rest = speeds(steps)
        tokens = statistics.mean(s.tokens for s in steps)
        ratio = "" if name == Ours.name else f"   {ours[0] / whole:.2f}  {ours[2] / rest:.2f}"
        print(f"{name:10}  {whole:8,.0f}  {rollout:8,.0f}  {rest:8,.0f}  {tokens:7,.0f}{ratio}")


if __name__ == "__main__":
    main()
