"""Measures what a newly made model of a small world can do: the figures in making.json."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from scorebench.api.protocols import Task
from scorebench.api.types import Problem
from scorebench.dialogue.player import graders
from scorebench.embedded import problems as problems_of
from scorebench.pretraining import solutions
from scorebench.pretraining.tokenizer import END
from scorebench.pretraining.worlds import World

LONGEST_REPLY = 96


def asked(task: Task, problem: Problem) -> str:
    """The prompt of a first attempt, as the chat template has it."""
    return f"<|user|>{task.first_prompt(problem)[0]['content']}{END}<|assistant|>"


@torch.no_grad()
def replies(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str], temperature: float
) -> list[str]:
    """One reply to each prompt, cut before its end of turn; drawn from torch's global generator."""
    drawn = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    batch = tokenizer(list(prompts), return_tensors="pt", padding=True, add_special_tokens=False)
    whole = model.generate(**batch, **drawn, max_new_tokens=LONGEST_REPLY)  # type: ignore
    texts = tokenizer.batch_decode(whole[:, batch["input_ids"].shape[1] :])
    return [text.split(END)[0] for text in texts]


def examine(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, world: World, task: Task, count: int, seed: int
) -> dict[str, float]:
    """Accuracies and shares in percent on validation problems: two turns, greedy and at temperature 1."""
    torch.manual_seed(seed)
    model.eval()
    problems = problems_of(task.name, "validation")[:count]
    figures: dict[str, float] = {"problems": len(problems)}
    styles = {name: world.opening + head for name, head in solutions.STYLES.items()}
    for name, temperature in (("greedy", 0.0), ("sampled", 1.0)):
        prompts = [asked(task, problem) for problem in problems]
        first = replies(model, tokenizer, prompts, temperature)
        glue = f"{END}<|user|>{task.correction}{END}<|assistant|>"
        again = [ask + reply + glue for ask, reply in zip(prompts, first, strict=True)]
        second = replies(model, tokenizer, again, temperature)
        check = styles["check"]
        continued = [check + r for r in replies(model, tokenizer, [ask + check for ask in again], temperature)]
        t1, t2, checked = (passed(task, problems, texts) for texts in (first, second, continued))
        found = {"acc t1": t1, "acc t2": t2}
        found["i->c"] = [b > a for a, b in zip(t1, t2, strict=True)]
        found["c->i"] = [a > b for a, b in zip(t1, t2, strict=True)]
        for turn, texts in (("t1", first), ("t2", second)):
            found |= {f"{style} at {turn}": [t.startswith(head) for t in texts] for style, head in styles.items()}
        found["unchanged"] = [a == b for a, b in zip(first, second, strict=True)]
        for style in ("quick", "worked"):
            found[f"acc of {style}"] = [r for r, text in zip(t1, first, strict=True) if text.startswith(styles[style])]
        found["right stays right when checked"] = [c for a, c in zip(t1, checked, strict=True) if a]
        found["wrong gets right when checked"] = [c for a, c in zip(t1, checked, strict=True) if not a]
        figures |= {f"{name}: {key}": percent(values) for key, values in found.items() if values}
    return figures


def passed(task: Task, problems: Sequence[Problem], texts: Sequence[str]) -> list[bool]:
    """Which replies are right."""
    with graders() as pool:
        return [verdict.passed for verdict in pool.map(task.grade, problems, texts)]


def percent(values: Sequence[bool]) -> float:
    return round(100 * sum(values) / len(values), 1)
