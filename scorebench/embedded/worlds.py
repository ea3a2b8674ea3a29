"""How each small world dresses the same documents: its questions, its prompts, its replies, its phrases.

Pretraining stands above engine, tasks and methods: nothing of the engine imports this module.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scorebench.contracts import Split, Task
from scorebench.embedded import equations, programs, solutions
from scorebench.embedded.equations import phrases_of
from scorebench.methods.pag import VERIFY
from scorebench.methods.self_refine import FEEDBACK, REFINE
from scorebench.methods.self_rewarding import JUDGE
from scorebench.tasks import humaneval, math, mbpp


@dataclass(frozen=True)
class World:
    """What documents.py has to know of a world. Its questions have an `equation` and a `subject`.

    asked: the prompt of a question. reply: remarks (solutions.py), and the answer x as the world states it.
    opening: what a reply begins with before its remarks.
    doubted: the subject in which second guesses are most of the later attempts.
    tasks: those that the model is examined on; they ask for corrections and for the form of answers in the same words.
    prompts, templates: what is to be one token beside the words of every world; of a template, what stands between
        its numbers.
    """

    name: str
    questions: Callable[[Split, random.Random], Iterator[Any]]
    asked: Callable[[Any], str]
    reply: Callable[[Any, str, int], str]
    opening: str
    doubted: str
    tasks: tuple[Task, ...]
    prompts: tuple[str, ...]
    templates: tuple[str, ...]

    @property
    def correction(self) -> str:
        return self.tasks[0].correction

    @property
    def refining(self) -> str:
        """Self-Refine's request for another attempt."""
        return f"{REFINE} {self.tasks[0].answer_form}"

    @property
    def judging(self) -> str:
        """The request of self-rewarding correction."""
        return f"{JUDGE} {self.tasks[0].answer_form}"

    @property
    def fixed_texts(self) -> tuple[str, ...]:
        """What the user says in so many words."""
        own = (self.judging, *self.prompts, self.correction, FEEDBACK, self.refining, self.tasks[0].answer_form)
        return (*own, VERIFY)

    def phrases(self) -> list[str]:
        """Every text that is to be one token."""
        told = [phrase for template in self.templates for phrase in phrases_of(template)]
        return [*self.fixed_texts, "\n\n", *told, *solutions.PHRASES]


FINAL = "Final Answer: The final answer is ${x}$. I hope it is correct."
MATH = World(
    name="math",
    questions=equations.questions,
    asked=lambda question: f"{math.PROMPT}\n\n{question.text}",
    reply=lambda question, remarks, x: remarks + FINAL.format(x=x),
    opening="",
    doubted="Counting & Probability",
    tasks=(math.task,),
    prompts=(math.PROMPT,),
    templates=(*(form for forms in equations.STATEMENTS.values() for form in forms), FINAL),
)


_COMMENT = "# "


def _programmed(question: programs.Question, remarks: str, x: int) -> str:
    """The remarks are a comment, word for word as in math, so that the whole reply is Python."""
    return f"{_COMMENT}{remarks}\n{question.program(x)}"


def _code_templates() -> Iterator[str]:
    yield _COMMENT
    for idiom in programs.SUBJECTS.values():
        asserts, examples = "\n".join([programs.ASSERT] * 2), programs.EXAMPLE * 2
        prompts = (
            mbpp.PROMPT.format(text=programs.MBPP_TEXT, asserts=asserts),
            humaneval.PROMPT.format(prompt=programs.DOCSTRING.replace("{examples}", examples)),
        )
        for text in (*prompts, "\n" + programs.HEAD + programs.CONSTANT + idiom.body):
            yield text.replace("{finds}", idiom.finds).replace("{name}", idiom.name)


_TASKS = {"mbpp": mbpp.task, "humaneval": humaneval.task}
CODE = World(
    name="code",
    questions=programs.questions,
    asked=lambda question: _TASKS[question.shape].first_prompt(question.problem(""))[0]["content"],
    reply=_programmed,
    opening=_COMMENT,
    doubted="Strings",
    tasks=tuple(_TASKS.values()),
    prompts=(),
    templates=tuple(_code_templates()),
)
WORLDS: Mapping[str, World] = {world.name: world for world in (MATH, CODE)}
