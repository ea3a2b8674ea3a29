"""The given programs of mbpp-r in the small world: the wrong programs of the base model, stored beside its weights."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from scorebench.embedded import programs
from scorebench.pretraining.examine import asked, passed, replies
from scorebench.tasks import mbpp


def freeze(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> int:
    """Writes the wrong ones of the model's greedy first attempts on mbpp's test problems; returns how many they are."""
    model.eval()
    problems = programs.problems("mbpp", "test")
    texts = replies(model, tokenizer, [asked(mbpp.task, problem) for problem in problems], temperature=0.0)
    right = passed(mbpp.task, problems, texts)
    wrong = [(problem, text) for problem, text, fine in zip(problems, texts, right, strict=True) if not fine]
    lines = [json.dumps({"task_id": problem.id, "solution": text}) + "\n" for problem, text in wrong]
    (folder / programs.WRONG_PROGRAMS.name).write_text("".join(lines))
    return len(wrong)
