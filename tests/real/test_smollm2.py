"""A real language model is played as transformers plays it, trained, exported, and run on rows of every task."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from scorebench.api import registry
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Problem, Reply, Sampling, Verdict
from scorebench.cli.main import app
from scorebench.engines.hf.opener import open_engine
from scorebench.tasks.math import Math
from tests.hub import real_data

QUESTIONS = ("What is 2 + 2?", "Name the three largest oceans, and say in one sentence each where they are.", "Hi!")
FROM_FILES = ("math", "gsm8k", "mbpp", "mbpp-r")  # tasks whose rows are read from --data
FROM_PACKAGES = ("humaneval", "arithmetic")  # tasks whose rows are installed, or generated
GREEDY = Sampling(max_tokens=24)


def opened(path: Path) -> Any:
    return open_engine(ModelSpec(str(path), "smollm2", dtype="float32", device="cpu"))


def greedy_replies(engine: Any) -> list[Reply]:
    """Both replies of a two-turn dialogue on each question; the dialogues are played together."""

    async def dialogue(question: str) -> list[Reply]:
        first = engine.chat.first(({"role": "user", "content": question},))
        one = await engine.reply(first, (), GREEDY, 0)
        on = engine.chat.extend(first, one, ({"role": "user", "content": "Are you sure? Answer again."},))
        return [one, await engine.reply(on, (), GREEDY, 0)]

    async def dialogues() -> list[list[Reply]]:
        return await asyncio.gather(*map(dialogue, QUESTIONS))

    return [reply for dialogue in asyncio.run(dialogues()) for reply in dialogue]


def check_replies(model: Any, replies: list[Reply]) -> None:
    """Each reply is what `generate` gives, and has the log-probabilities that the model gives to it."""
    assert len(replies) == 2 * len(QUESTIONS)
    for reply in replies:
        prompt = torch.tensor([reply.prompt_ids])
        made = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=GREEDY.max_tokens
        )
        assert made[0, prompt.shape[1] :].tolist() == list(reply.token_ids)
        with torch.no_grad():
            logits = model(made).logits[0, prompt.shape[1] - 1 : -1]
        logprobs = logits.log_softmax(-1).gather(1, torch.tensor(reply.token_ids)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(reply.logprobs), logprobs, atol=1e-3, rtol=1e-3)


def test_greedy_dialogues_are_those_of_generate(real_model: Path) -> None:
    engine = opened(real_model)
    replies = greedy_replies(engine)
    check_replies(engine.model, replies)
    assert "4" in replies[0].text


def made_up(self: Math, problem: Problem, reply: str) -> Verdict:
    """Verdicts that depend on the text alone: this model is hardly ever right, and equal rewards move no weight."""
    return Verdict("pass" if sum(map(ord, reply)) % 2 else "fail", answer=reply[:1], rule="made up")


@pytest.fixture(scope="module")
def trained(real_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one step of each stage of SCoRe was trained; `export` in it is the exported model."""
    folder = tmp_path_factory.mktemp("trained")
    words = ["train", "--method", "score", "--task", "arithmetic", "--engine", "hf", "--device", "cpu"]
    few = ["problems=2", "samples=4", "max_tokens=16", "lora.rank=4"]
    stages = [f"{stage}.{what}" for stage in ("stage1", "stage2") for what in ("steps=1", "learning_rate=1e-3")]
    sets = [word for assignment in (*few, *stages) for word in ("--set", assignment)]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(Math, "grade", made_up)
        app([*words, "--model", str(real_model), "--out", "export", *sets], standalone_mode=False)
    return folder


def test_both_stages_of_score_train_an_adapter_on_what_was_sampled(trained: Path) -> None:
    for stage in ("stage1", "stage2"):
        (log,) = trained.glob(f"results/checkpoints/*/{stage}/steps.jsonl")
        (step,) = map(json.loads, log.read_text(encoding="utf-8").splitlines())
        assert step["replies"] == 16
        assert step["grad_norm"] > 0
        assert 0 < step["worst_logprob_gap"] < 1e-3  # training's log-probabilities against those of sampling


def test_transformers_and_the_hf_engine_play_the_export_alike(trained: Path, real_model: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(trained / "export")
    check_replies(model, greedy_replies(opened(trained / "export")))
    before = opened(real_model).model.state_dict()
    moved = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    layers = [name for name in before if name.startswith("model.layers.") and "proj" in name]
    assert moved == set(layers)


def test_vllm_plays_the_export_as_transformers_does(trained: Path) -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed; .ci/vllm makes an environment with it")
    from scorebench.engines.vllm import open_engine as open_vllm
    from tests.vllm.conftest import spec

    engine = open_vllm(spec(str(trained / "export"), context_length=512))
    replies = greedy_replies(engine)
    engine.close()
    check_replies(AutoModelForCausalLM.from_pretrained(trained / "export"), replies)


def test_the_tasks_here_are_all_that_there_are() -> None:
    assert sorted((*FROM_FILES, *FROM_PACKAGES)) == sorted(registry.names("task"))


@pytest.mark.parametrize("source", ["files", "packages"])
def test_a_run_plays_a_row_of_every_task(
    source: str, real_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tasks = FROM_FILES if source == "files" else FROM_PACKAGES
    words = ["run", "--method", "base", "--task", ",".join(tasks), "--model", str(real_model), "--engine", "hf"]
    words += ["--limit", "1", "--max-tokens", "24", "--device", "cpu"]
    words += ["--data", str(real_data())] if source == "files" else []
    app(words, standalone_mode=False)

    rows = [json.loads(file.read_text(encoding="utf-8")) for file in tmp_path.glob("results/runs/*/episodes.jsonl")]
    assert len(rows) == len(tasks)
    for row in rows:
        assert len(row["attempts"]) == 2
        for attempt in row["attempts"]:
            assert attempt["verdict"]["outcome"] != "error", attempt
    table = capsys.readouterr().out
    assert all(task in table for task in tasks)
