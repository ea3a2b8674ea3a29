"""What differs between the small worlds: questions, prompts, replies, and the phrases that are one token each."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from scorebench.api.protocols import Split, Task
from scorebench.embedded import equations, programs
from scorebench.embedded.equations import phrases_of
from scorebench.methods.pag import VERIFY
from scorebench.methods.self_refine import FEEDBACK, REFINE
from scorebench.methods.self_rewarding import JUDGE
from scorebench.pretraining import solutions
from scorebench.tasks import humaneval, math, mbpp


@dataclass(frozen=True)
class World:
    """What documents.py needs of a world. Its questions have an `equation` and a `subject`.

    asked: the prompt of a question. reply: remarks (solutions.py), and the answer x as the world states it.
    opening: what a reply begins with before its remarks.
    hasty: the subject in which most first attempts are guesses.
    doubted: the subject in which second guesses are most of the later attempts.
    tasks: those that the model is examined on; they ask for corrections and for the form of answers in the same words.
    prompts, templates: texts that become one token each, beside those of every world. Of a template, each text between
        two numbers becomes a token.
    heirs: a phrase of this world -> the phrase of the world for math that does the same work. It starts with the
        embedding of that one.
    """

    name: str
    questions: Callable[[Split, random.Random], Iterator[Any]]
    asked: Callable[[Any], str]
    reply: Callable[[Any, str, int], str]
    opening: str
    hasty: str
    doubted: str
    tasks: tuple[Task, ...]
    prompts: tuple[str, ...]
    templates: tuple[str, ...]
    heirs: Mapping[str, str] = field(default_factory=dict)

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
        """The messages of the user that are always the same."""
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
    hasty="Prealgebra",
    doubted="Counting & Probability",
    tasks=(math.task,),
    prompts=(math.PROMPT,),
    templates=(*(form for forms in equations.STATEMENTS.values() for form in forms), FINAL),
)


_COMMENT = "# "


def _programmed(question: programs.Question, remarks: str, x: int) -> str:
    """The remarks are a comment, word for word as in math, so that the whole reply is Python."""
    return f"{_COMMENT}{remarks}\n{question.program(x)}"


def _prompts_of(idiom: programs.Idiom) -> tuple[str, ...]:
    asserts, examples = "\n".join([programs.ASSERT] * 2), programs.EXAMPLE * 2
    prompts = (
        mbpp.PROMPT.format(text=programs.MBPP_TEXT, asserts=asserts),
        humaneval.PROMPT.format(prompt=programs.DOCSTRING.replace("{examples}", examples)),
    )
    return tuple(prompt.replace("{finds}", idiom.finds).replace("{name}", idiom.name) for prompt in prompts)


def _head_of(idiom: programs.Idiom) -> str:
    return ("\n" + programs.HEAD + programs.CONSTANT).replace("{name}", idiom.name)


def _heirs() -> Iterator[tuple[str, str]]:
    """Each phrase before a given number or the constant of a program, and the phrase in math that does its work."""
    in_math = _before(equations.STATEMENTS["Algebra"][0]) | _before(FINAL)
    for idiom in programs.SUBJECTS.values():
        for template in (*_prompts_of(idiom), _head_of(idiom)):
            yield from ((phrase, in_math[number]) for number, phrase in _before(template).items())


def _before(template: str) -> dict[str, str]:
    """By name, each number of a template and the phrase before the first place where it stands."""
    numbers = re.findall(r"(?<!\{)\{([a-z]+)\}", template)
    return dict(reversed(list(zip(numbers, phrases_of(template), strict=False))))


_TASKS = {"mbpp": mbpp.task, "humaneval": humaneval.task}
CODE = World(
    name="code",
    questions=programs.questions,
    asked=lambda question: _TASKS[question.shape].first_prompt(question.problem(""))[0]["content"],
    reply=_programmed,
    opening=_COMMENT,
    hasty="Lists",
    doubted="Strings",
    tasks=tuple(_TASKS.values()),
    prompts=(),
    templates=(
        _COMMENT,
        *(prompt for idiom in programs.SUBJECTS.values() for prompt in _prompts_of(idiom)),
        *(_head_of(idiom) + idiom.body for idiom in programs.SUBJECTS.values()),
    ),
    heirs=dict(_heirs()),
)
WORLDS: Mapping[str, World] = {world.name: world for world in (MATH, CODE)}
