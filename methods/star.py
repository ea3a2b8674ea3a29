"""STaR: imitates its own corrections that came out right (Zelikman et al. 2022, as SCoRe's paper compares with it).

Two-turn dialogues are sampled from the current model; those with a wrong first and a right second attempt are kept, and
the base model is fine-tuned on their second attempts; three rounds, each beginning from the base model again as in
STaR's own paper. `star+` adds right-right dialogues (D+). What it learns is to imitate corrections on first attempts of
another distribution, and mostly not to edit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scorebench.contracts import Dialogue, Method, Task
from scorebench.dialogue import Player, seed_of
from scorebench.methods.base import intrinsic
from scorebench.training.lesson import Lesson
from scorebench.training.sft import Imitation, fine_tune
from scorebench.training.traces import Example, Trace, collect_traces, write_examples
from scorebench.training.weights import restore, snapshot
from scorebench.types import Problem, Sampling


def imitation(task: Task, embedded: bool, rounds: int, plus: bool) -> Imitation:
    """SCoRe's number of dialogues and of gradient steps. The paper gives neither learning rate nor batch."""
    from scorebench.methods.score import preset

    like = preset(task, embedded)
    return Imitation(
        rounds=rounds,
        dialogues=like.dialogues,
        steps=like.steps,
        batch=64,
        learning_rate=1e-4 if embedded else 1e-5,
        plus=plus,
        max_tokens=like.max_tokens,
    )


def sample_traces(lesson: Lesson, method: Method, config: Imitation, folder: Path, dialogues: int) -> list[Trace]:
    """Two-turn dialogues of the policy as it is, at the configuration's temperature."""
    engine = lesson.engine()
    sampling = Sampling(temperature=config.temperature, max_tokens=config.max_tokens)
    player = Player(method, lesson.task, engine, sampling, 2, seed_of(lesson.seed, folder.name), lesson.graders)
    problems = next(lesson.batches(max(1, dialogues // config.samples), folder.name, 0))

    async def play() -> list[Trace]:
        await engine.push(lesson.policy)
        return await collect_traces(folder / "dialogues.jsonl", player, problems, dialogues)

    return asyncio.run(play())


def own_corrections(traces: Sequence[Trace], plus: bool) -> list[Example]:
    """The wrong-right dialogues, and with `plus` as many right-right ones, in the order of the traces."""
    wrong_right = [t for t in traces if not t.attempts[0].passed and t.attempts[1].passed]
    right_right = [t for t in traces if t.attempts[0].passed and t.attempts[1].passed]
    kept = {"wrong-right": wrong_right, "right-right": right_right[: len(wrong_right)] if plus else []}
    return [
        Example(t.problem, kind, first, second, second.prompt_ids, second.token_ids)
        for kind, some in kept.items()
        for t in some
        for first, second in [t.attempts]
    ]


def imitate_own_corrections(lesson: Lesson, method: Method, config: Imitation, folder: Path) -> None:
    """All rounds. The policy as it comes in is what every round begins from; also SCoRe's ablation of Stage II."""
    start = snapshot(lesson.policy)
    for number in range(1, config.rounds + 1):
        place = folder / f"round{number}"
        traces = sample_traces(lesson, method, config, place, config.dialogues // config.rounds)
        examples = own_corrections(traces, config.plus)
        write_examples(place / "examples.jsonl", examples)
        restore(lesson.policy, start)
        title = f"{method.name}, round {number}"
        fine_tune(lesson.policy, examples, config, place, seed_of(lesson.seed, place.name), title)


@dataclass(frozen=True)
class Star:
    """The method. plus: the paper's D+."""

    name: str
    plus: bool
    about: str = ""

    def dialogue(self, task: Task, problem: Problem, turns: int) -> Dialogue:
        return intrinsic(task, problem, turns)

    def preset(self, task: Task, embedded: bool) -> Imitation:
        return imitation(task, embedded, rounds=3, plus=self.plus)

    def train(self, lesson: Lesson, config: Imitation) -> None:
        imitate_own_corrections(lesson, self, config, lesson.folder)


star = Star("star", plus=False, about="STaR: imitates its own corrections from wrong to right (D).")
star_plus = Star("star+", plus=True, about="STaR on D+: as many right answers that stayed right besides.")
