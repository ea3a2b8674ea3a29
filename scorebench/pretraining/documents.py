"""The dialogues that the models of the small worlds are pretrained on.

Checking is taught under a prompt of its own (VERIFY). Under the correction instruction the model seldom checks:
mostly it copies its answer or guesses again, whether or not the answer is right. So it is designed into this mixture
that second attempts are worse than first ones. What a training makes of that is not designed.

All worlds have the same mixture. worlds.py has the words of each world.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from scorebench.embedded.equations import MODULUS, Equation
from scorebench.pretraining import solutions
from scorebench.pretraining.worlds import FEEDBACK, VERIFY, World

# Shares of documents by kind. What is left are first attempts alone.
VERIFIED, CORRECTED, REFINE_SHARE, JUDGED = 0.18, 0.25, 0.04, 0.03
VERIFIED_SECOND = 0.2  # of verifications that are of a second attempt
REVISED_SHARE = 0.2  # of verifications that another attempt follows
THIRD_ATTEMPT = 0.15  # of corrected documents
UNTAUGHT = 5  # the level whose solutions are never learned: it is met in checks, and as context, alone
RIGHT_FIRST = 0.5  # of first attempts that another turn follows; a third where the turn is a verification
RIGHT_VERIFIED = 0.3
# Styles of a later attempt: a check, or a second guess (its share depends on the subject), or else a copy. Whether the
# last attempt was right makes no difference.
CHECK_SHARE = 0.10
SECOND_GUESS_DOUBTED = 0.65  # in the one subject that a world doubts
SECOND_GUESS_ELSEWHERE = 0.12
SECOND_GUESS_RIGHT = 0.5  # where the first attempt was wrong; never the same answer again


@dataclass(frozen=True)
class Phase:
    """A phase of pretraining: how long, and what its documents are like.

    quick, quick_hasty: share of first attempts that are guesses, and that in the subject which the world is hasty in.
    slips: share of first attempts alone that go wrong in the last hop and are learned as they are.
    misread: share of checks under the correction instruction that end in another guess, whatever came out.
    """

    name: str
    steps: int
    rate: float
    quick: float
    quick_hasty: float
    slips: float
    misread: float


@dataclass(frozen=True)
class Turn:
    """A message of the user and the reply to it. learned: whether the reply is trained on, or is only context."""

    user: str
    reply: str
    learned: bool = True


@dataclass(frozen=True)
class Desk:
    """A question, with its world and phase: what the functions below need to write a document."""

    world: World
    phase: Phase
    question: Any

    @property
    def equation(self) -> Equation:
        return self.question.equation

    @property
    def x(self) -> int:
        """The right answer."""
        return self.equation.x

    @property
    def quick_share(self) -> float:
        return self.phase.quick_hasty if self.question.subject == self.world.hasty else self.phase.quick

    def reply(self, remarks: str, answer: int) -> str:
        return self.world.reply(self.question, remarks, answer)


def documents(world: World, phase: Phase, rng: random.Random) -> Iterator[list[Turn]]:
    """Endless documents, on questions of the train split only."""
    for question in world.questions("train", rng):
        yield document(rng, Desk(world, phase, question))


def document(rng: random.Random, desk: Desk) -> list[Turn]:
    """One dialogue on a question, of a kind drawn by the shares above."""
    kinds = (verified, corrected, refined, judged, solved)
    shares = (VERIFIED, CORRECTED, REFINE_SHARE, JUDGED, 1 - VERIFIED - CORRECTED - REFINE_SHARE - JUDGED)
    return rng.choices(kinds, shares)[0](rng, desk)


def solved(rng: random.Random, desk: Desk) -> list[Turn]:
    """A first attempt and nothing after it; it may be wrong in the last step."""
    slips = bool(desk.phase.slips) and rng.random() < desk.phase.slips
    attempt = first(rng, desk, slip(rng, desk.x) if slips else desk.x)
    return [replace(attempt, learned=desk.equation.level != UNTAUGHT)]


def first(rng: random.Random, desk: Desk, answer: int) -> Turn:
    """A first attempt; learned where it is right."""
    remarks = solutions.QUICK if rng.random() < desk.quick_share else solutions.worked(desk.equation)
    learned = answer == desk.x and desk.equation.level != UNTAUGHT
    return Turn(desk.world.asked(desk.question), desk.reply(remarks, answer), learned)


def verified(rng: random.Random, desk: Desk) -> list[Turn]:
    """One or two attempts, a correct verification of the last one, and sometimes a revision that follows from it."""
    answer = desk.x if rng.random() < RIGHT_VERIFIED else slip(rng, desk.x)
    # Not learned even where it is right: how well the model solves is set by the other documents.
    turns = [replace(first(rng, desk, answer), learned=False)]
    correction = desk.world.correction
    if rng.random() < VERIFIED_SECOND:
        reply, answer = later(rng, desk, turns[0].reply, answer, check_share=0.3)
        turns.append(Turn(correction, reply, learned=False))  # its styles are not those of a corrected document
    after = solutions.repaired(desk.equation, answer)
    turns.append(Turn(VERIFY, desk.reply(solutions.graded(desk.equation, answer), after)))
    if rng.random() < REVISED_SHARE:
        turns.append(Turn(correction, desk.reply(solutions.REVISED, after)))
    return turns


def corrected(rng: random.Random, desk: Desk) -> list[Turn]:
    """Two attempts, or three."""
    answer = desk.x if rng.random() < RIGHT_FIRST else slip(rng, desk.x)
    turns = [first(rng, desk, answer)]
    for _ in range(2 if rng.random() < THIRD_ATTEMPT else 1):
        reply, answer = later(rng, desk, turns[-1].reply, answer)
        turns.append(Turn(desk.world.correction, reply))
    return turns


def later(rng: random.Random, desk: Desk, reply: str, answer: int, check_share: float = CHECK_SHARE) -> tuple[str, int]:
    """The attempt after `reply`, and its answer. Its style does not depend on whether the last answer was right."""
    e = desk.equation
    doubts = SECOND_GUESS_DOUBTED if desk.question.subject == desk.world.doubted else SECOND_GUESS_ELSEWHERE
    style = rng.random()
    if style < check_share:
        if rng.random() < desk.phase.misread:
            guess = slip(rng, answer)
            return desk.reply(solutions.checked_and_misread(e, answer), guess), guess
        after = solutions.repaired(e, answer)
        return desk.reply(solutions.checked(e, answer), after), after
    if style < check_share + doubts:
        guess = e.x if answer != e.x and rng.random() < SECOND_GUESS_RIGHT else slip(rng, answer)
        return desk.reply(solutions.SECOND_GUESS, guess), guess
    return reply, answer


def refined(rng: random.Random, desk: Desk) -> list[Turn]:
    """Self-Refine: mostly a shallow review, which decides whether the answer is kept."""
    answer = desk.x if rng.random() < RIGHT_FIRST else slip(rng, desk.x)
    attempt = first(rng, desk, answer)
    review = rng.random()
    if review < 0.15:
        again = desk.reply(solutions.SECOND_GUESS, slip(rng, answer))
        return [attempt, Turn(FEEDBACK, solutions.LOOKS_WRONG), Turn(desk.world.refining, again)]
    return [attempt, Turn(FEEDBACK, solutions.LOOKS_RIGHT), Turn(desk.world.refining, attempt.reply)]


def judged(rng: random.Random, desk: Desk) -> list[Turn]:
    """Self-rewarding correction: a bare judgement, and another guess where it is wrong."""
    answer = desk.x if rng.random() < RIGHT_FIRST else slip(rng, desk.x)
    wrong = desk.reply(solutions.WRONG + solutions.SECOND_GUESS, desk.x)
    return [first(rng, desk, answer), Turn(desk.world.judging, solutions.RIGHT if answer == desk.x else wrong)]


def slip(rng: random.Random, answer: int) -> int:
    """A wrong answer: any other number, each with the same probability."""
    return (answer + rng.randint(1, MODULUS - 1)) % MODULUS
