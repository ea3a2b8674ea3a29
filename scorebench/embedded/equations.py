"""The problems of the small world for math: one hidden number modulo 17, told in four subjects and at five levels.

Every problem is an equation a(x + b) + cx = n modulo 17, told in the words of its subject. To compute n from x takes
small steps of two numbers each, and the model learns all of them. To find x from n, the last step needs three numbers
at once, and the model knows it only for slopes a + c that it has seen often. So checking is easier than solving. That
makes self-correction possible, and it keeps training from making every first attempt right.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from scorebench.api.protocols import Split
from scorebench.api.types import Problem

MODULUS = 17
# level -> its slopes a + c. Slopes of low levels are frequent, those of high levels are rare.
_SLOPES = [*range(2, MODULUS), 1]
LEVELS = {1: _SLOPES[:1], 2: _SLOPES[1:2], 3: _SLOPES[2:4], 4: _SLOPES[4:8], 5: _SLOPES[8:]}
# No number of a problem or of a solution's steps is larger; the tokenizer has one token for each up to it.
LARGEST = MODULUS
SIZES: dict[Split, int] = {"train": 10_000, "validation": 800, "test": 1_200}
HELD_OUT_PERCENT = 10  # of all meanings, for validation; and as many for test

# subject -> statements. Numbers stand where the braces are; what lies between is one token each.
STATEMENTS: dict[str, tuple[str, ...]] = {
    "Algebra": (
        "Solve ${a}(x+{b})+{c}x\\equiv {n}\\pmod{{17}}$ for $x$.",
        "If ${a}(x+{b})+{c}x\\equiv {n}\\pmod{{17}}$ and $0\\le x<17$, what is the value of $x$?",
    ),
    "Prealgebra": (
        "A wheel has the numbers $0$ to $16$. Ida turns it by some number, Mia by ${b}$ more. "
        "Ida turns ${c}$ times and Mia ${a}$ times, from $0$, and it shows ${n}$. By which number does Ida turn it?",
    ),
    "Number Theory": (
        "The integer ${a}(m+{b})+{c}m$ leaves the remainder ${n}$ when it is divided by $17$. "
        "Find the remainder of $m$.",
        "Find the least $m\\ge 0$ for which $17$ divides ${a}(m+{b})+{c}m-{n}$.",
    ),
    "Counting & Probability": (
        "Some cards are dealt to ${c}$ children, as many to each, and ${b}$ more than that to each of ${a}$ others. "
        "Counted in rounds of $17$, ${n}$ cards are over. With less than a round for each child, how many does it get?",
    ),
}


@dataclass(frozen=True)
class Equation:
    """a(x + b) + cx = n modulo 17, with its answer x."""

    a: int
    b: int
    c: int
    x: int

    def value(self, x: int) -> int:
        """The left side at x."""
        return (self.a * (x + self.b) + self.c * x) % MODULUS

    @property
    def n(self) -> int:
        return self.value(self.x)

    @property
    def slope(self) -> int:
        return (self.a + self.c) % MODULUS

    @property
    def level(self) -> int:
        """The level to which its slope belongs."""
        return next(level for level, slopes in LEVELS.items() if self.slope in slopes)

    @property
    def split(self) -> Split:
        """It depends on the numbers only, not on the words in which the equation is told."""
        return split_of(self.a, self.b, self.c, self.n)


@dataclass(frozen=True)
class Question:
    """An equation in words."""

    equation: Equation
    subject: str
    text: str


def split_of(*meaning: int) -> Split:
    """The split of an equation, from a hash of its numbers: the same equation in other words is in the same split."""
    percent = int.from_bytes(hashlib.sha256(",".join(map(str, meaning)).encode()).digest()[:4]) % 100
    if percent < HELD_OUT_PERCENT:
        return "test"
    return "validation" if percent < 2 * HELD_OUT_PERCENT else "train"


def questions(split: Split, rng: random.Random) -> Iterator[Question]:
    """Endless questions of a split, drawn evenly over subjects and levels. After a while they repeat."""
    subjects = tuple(STATEMENTS)
    while True:
        level, subject = rng.choice(tuple(LEVELS)), rng.choice(subjects)
        e = equation_of(split, level, rng)
        yield Question(e, subject, rng.choice(STATEMENTS[subject]).format(a=e.a, b=e.b, c=e.c, n=e.n))


def equation_of(split: Split, level: int, rng: random.Random) -> Equation:
    """An equation of exactly this level and split, with one answer."""
    return next(equation for equation in equations(level, rng) if equation.split == split)


def equations(level: int, rng: random.Random) -> Iterator[Equation]:
    """Endless equations of a level, of all splits."""
    while True:
        a, slope = rng.randrange(2, MODULUS), rng.choice(LEVELS[level])
        c = (slope - a) % MODULUS
        found = Equation(a, rng.randrange(1, MODULUS), c, rng.randrange(MODULUS))
        if c > 1:
            yield found


def problems(task: str, split: Split) -> tuple[Problem, ...]:
    """The published problems of a split: distinct, always the same."""
    texts: set[str] = set()
    found: list[Problem] = []
    for question in questions(split, random.Random(f"{task}/{split}")):
        if question.text in texts:
            continue
        texts.add(question.text)
        tags = {"subject": question.subject, "level": question.equation.level}
        name = f"embedded/{task}/{split}/{len(found):04d}"
        found.append(Problem(name, question.text, str(question.equation.x), tags))
        if len(found) == SIZES[split]:
            return tuple(found)
    raise AssertionError("questions() has no end")


def phrases_of(template: str) -> list[str]:
    """The fixed text between the numbers of a template."""
    template = template.replace("{{", "\0").replace("}}", "\1")
    return [part.replace("\0", "{").replace("\1", "}") for part in re.split(r"\{[a-z]+\}", template) if part]
