"""The method sft imitates the data set's solutions, in the form that the prompt asks for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.chat import Chat
from scorebench.api.errors import UserError
from scorebench.api.protocols import Source
from scorebench.api.types import Problem
from scorebench.methods.base import intrinsic
from scorebench.methods.pair_sft import second_prompt
from scorebench.methods.sft import SFT, GoldConfig
from scorebench.tasks import math, mbpp
from scorebench.training.trajectories import Sample
from tests import tiny
from tests.training.test_budgets import Gilded
from tests.training.test_score import context
from tests.training.test_sft import read

GOLD = GoldConfig(dialogues=64, samples=2, epochs=2, batch=8, learning_rate=1e-3, max_tokens=6)
END = tiny.tokenizer().eos_token_id


def taught(folder: Path, config: GoldConfig, task: Any = None) -> tuple[Any, list[dict[str, Any]]]:
    pupil = dataclasses.replace(context(folder), task=task or Gilded())
    SFT().train(pupil, config)
    return pupil, read(folder / "examples.jsonl")


def test_first_attempts_are_the_solutions_and_end_their_turn(tmp_path: Path) -> None:
    pupil, examples = taught(tmp_path, GOLD)
    chat = Chat(pupil.tokenizer)
    assert len(examples) == 32
    for example, problem in zip(examples, pupil.problems, strict=True):
        assert (example["problem"], example["kind"], example["first"], example["second"]) == (
            problem.id,
            "gold",
            None,
            None,
        )
        assert tuple(example["prompt_ids"]) == chat.first(({"role": "user", "content": problem.text},))
        assert tuple(example["token_ids"]) == (*chat.answer_ids("ascii"), END)
    losses = [row["loss"] for row in read(tmp_path / "steps.jsonl")]
    assert len(losses) == 8
    assert losses[-1] < losses[0]
    assert not (tmp_path / "dialogues.jsonl").exists()


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_share_are_corrections_of_the_model_s_own_wrong_attempts(tmp_path: Path, share: float) -> None:
    pupil, examples = taught(tmp_path, GOLD.model_copy(update={"corrections": share}))
    corrections = [example for example in examples if example["kind"] == "correction"]
    assert len(corrections) / len(examples) == pytest.approx(share, abs=0.01)
    played = [(row["problem"], attempt) for row in read(tmp_path / "dialogues.jsonl") for attempt in row["attempts"]]
    assert len(played) == 64
    assert {attempt["turn"] for _, attempt in played} == {1}
    chat, problems = Chat(pupil.tokenizer), {problem.id: problem for problem in pupil.problems}
    for example in corrections:
        first = example["first"]
        assert (example["problem"], first) in played
        assert not first["passed"]
        sample = Sample(**{**first, "prompt_ids": tuple(first["prompt_ids"]), "token_ids": tuple(first["token_ids"])})
        wanted = second_prompt(chat, SFT(), pupil.task, problems[example["problem"]], sample)
        assert tuple(example["prompt_ids"]) == wanted
        assert tuple(example["token_ids"]) == (*chat.answer_ids("ascii"), END)
    spent = json.loads((tmp_path / "collected.json").read_text())
    assert spent["replies"] == 64


def test_a_correction_is_asked_for_as_in_evaluation() -> None:
    dialogue = intrinsic(Gilded(), Problem("p", "say 1", ""), 2)
    next(dialogue)
    from scorebench.api.types import Reply

    assert dialogue.send(Reply("x")).messages == ({"role": "user", "content": "again"},)


class Silent(Gilded):
    gold = None  # type: ignore[assignment]


class Long(Gilded):
    def solution(self, problem: Problem) -> str:
        return "ascii" if problem.id.endswith("1") else "a long story"


class Right(Gilded):
    def grade(self, problem: Problem, reply: str) -> Any:
        return dataclasses.replace(super().grade(problem, "ascii"))


def test_what_cannot_be_imitated_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="has no solutions"):
        taught(tmp_path / "silent", GOLD, Silent())
    _, examples = taught(tmp_path / "long", GOLD, Long())
    assert len(examples) == 4  # 1, 11, 21, 31
    assert "28 of 32 solutions have more than 6 tokens" in capsys.readouterr().err
    with pytest.raises(UserError, match="raise --set max_tokens"):
        taught(tmp_path / "none", GOLD.model_copy(update={"max_tokens": 3}))
    with pytest.raises(UserError, match="nothing to correct"):
        taught(tmp_path / "right", GOLD.model_copy(update={"corrections": 0.5}), Right())


def test_solutions_of_the_tasks_are_in_the_form_of_the_prompt_and_pass() -> None:
    problem = Problem("m", "What is 1+1?", "2", solution="One and one is $\\boxed{2}$.")
    said = math.task.solution(problem)
    assert said == "One and one is $\\boxed{2}$.\nFinal Answer: The final answer is $2$. I hope it is correct."
    assert math.task.grade(problem, said).passed
    assert math.task.solution(dataclasses.replace(problem, solution=None)) == math.task.gold(problem)
    for task in (math.task, mbpp.task):
        for problem in task.load("train", Source("embedded")).problems[:10]:
            assert task.grade(problem, task.solution(problem)).passed
    assert mbpp.task.solution(problem).endswith("\n[DONE]")
