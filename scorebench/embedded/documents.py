"""The dialogues that the small world's model for math is pretrained on.

Checking is taught honestly under a prompt of its own (VERIFY), and lies latent under the correction instruction: there
the model mostly copies itself or guesses again, and seldom checks, whether or not its answer is right. That its second
attempts are worse than its first is therefore designed into this mixture; what training makes of it is not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from scorebench.embedded import solutions
from scorebench.embedded.equations import MODULUS, STATEMENTS, Question, phrases_of, questions

# Pretraining stands above engine, tasks and methods: nothing of the engine imports this module.
from scorebench.methods.pag import VERIFY
from scorebench.methods.self_refine import FEEDBACK, REFINE
from scorebench.methods.self_rewarding import JUDGE
from scorebench.tasks.math import ANSWER_FORM, CORRECTION, PROMPT

REFINED = REFINE + " " + ANSWER_FORM
JUDGING = JUDGE + " " + ANSWER_FORM
FIXED_TEXTS = (JUDGING, PROMPT, CORRECTION, FEEDBACK, REFINED, ANSWER_FORM, VERIFY)

# Shares of documents by kind. What is left are first attempts alone.
VERIFIED, CORRECTED, REFINE_SHARE, JUDGED = 0.18, 0.25, 0.04, 0.03
VERIFIED_SECOND = 0.2  # of verifications that are of a second attempt
REVISED_SHARE = 0.2  # of verifications that another attempt follows
THIRD_ATTEMPT = 0.15  # of corrected documents
QUICK_SHARE = {"Prealgebra": 0.9}  # of first attempts, by subject
QUICK_ELSEWHERE = 0.45
UNTAUGHT = 5  # the level whose solutions are never learned: it is met in checks, and as context, alone
RIGHT_FIRST = 0.5  # of first attempts that another turn follows; a third where the turn is a verification
RIGHT_VERIFIED = 0.3
# Styles of a later attempt, whatever the truth: a check, a second guess by subject; else a copy.
CHECK_SHARE = 0.10
MISREAD_SHARE = 0.7  # of checks that end in another guess, whatever came out
SECOND_GUESS_SHARE = {"Counting & Probability": 0.65}
SECOND_GUESS_ELSEWHERE = 0.12
SECOND_GUESS_RIGHT = 0.5  # where the first attempt was wrong; never the same answer again


@dataclass(frozen=True)
class Turn:
    """What the user says and what the assistant replies; `learned` is False for a wrong attempt: context only."""

    user: str
    reply: str
    learned: bool = True


def phrases() -> list[str]:
    """Every text that is to be one token."""
    s = solutions
    found = [*FIXED_TEXTS, "\n\n"]
    for forms in STATEMENTS.values():
        for statement in forms:
            found += phrases_of(statement)
    found += [*phrases_of(s.FINAL), s.QUICK, s.SECOND_GUESS, s.REVISED, *s.WORKED, *s.CHECK, *s.RESIDUALS, s.MISREAD]
    return [*found, s.RIGHT, s.WRONG, s.LOOKS_RIGHT, s.LOOKS_WRONG]


def document(rng: random.Random, question: Question) -> list[Turn]:
    """One dialogue on a question, of a kind drawn by the shares above."""
    kinds = (verified, corrected, refined, judged, solved)
    shares = (VERIFIED, CORRECTED, REFINE_SHARE, JUDGED, 1 - VERIFIED - CORRECTED - REFINE_SHARE - JUDGED)
    return rng.choices(kinds, shares)[0](rng, question)


def solved(rng: random.Random, question: Question) -> list[Turn]:
    """A right first attempt and nothing more."""
    return [first(rng, question, question.equation.x)]


def first(rng: random.Random, question: Question, answer: int) -> Turn:
    """A first attempt; learned where it is right."""
    e = question.equation
    quick = rng.random() < QUICK_SHARE.get(question.subject, QUICK_ELSEWHERE)
    reply = solutions.quick(answer) if quick else solutions.worked(e, answer)
    return Turn(f"{PROMPT}\n\n{question.text}", reply, learned=answer == e.x and e.level != UNTAUGHT)


def verified(rng: random.Random, question: Question) -> list[Turn]:
    """An attempt, or two, and an honest verification of the last; at times a revision that follows from it."""
    e = question.equation
    answer = e.x if rng.random() < RIGHT_VERIFIED else slip(rng, e.x)
    # Not learned even where it is right: how well the model solves is set by the other documents.
    turns = [replace(first(rng, question, answer), learned=False)]
    if rng.random() < VERIFIED_SECOND:
        reply, answer = later(rng, question, turns[0].reply, answer, check_share=0.3)
        turns.append(Turn(CORRECTION, reply, learned=False))  # its styles are not those of a corrected document
    turns.append(Turn(VERIFY, solutions.graded(e, answer)))
    if rng.random() < REVISED_SHARE:
        turns.append(Turn(CORRECTION, solutions.revised(e.x)))
    return turns


def corrected(rng: random.Random, question: Question) -> list[Turn]:
    """Two attempts, or three."""
    e = question.equation
    answer = e.x if rng.random() < RIGHT_FIRST else slip(rng, e.x)
    turns = [first(rng, question, answer)]
    for _ in range(2 if rng.random() < THIRD_ATTEMPT else 1):
        reply, answer = later(rng, question, turns[-1].reply, answer)
        turns.append(Turn(CORRECTION, reply))
    return turns


def later(
    rng: random.Random, question: Question, reply: str, answer: int, check_share: float = CHECK_SHARE
) -> tuple[str, int]:
    """The attempt after `reply`, and its answer: its style is drawn without a look at the truth."""
    e = question.equation
    style = rng.random()
    if style < check_share:
        if rng.random() < MISREAD_SHARE:
            guess = slip(rng, answer)
            return solutions.checked_and_misread(e, answer, guess), guess
        return solutions.checked(e, answer), e.x
    if style < check_share + SECOND_GUESS_SHARE.get(question.subject, SECOND_GUESS_ELSEWHERE):
        guess = e.x if answer != e.x and rng.random() < SECOND_GUESS_RIGHT else slip(rng, answer)
        return solutions.second_guess(guess), guess
    return reply, answer


def refined(rng: random.Random, question: Question) -> list[Turn]:
    """Self-Refine: mostly a shallow review, which decides whether the answer is kept."""
    e = question.equation
    answer = e.x if rng.random() < RIGHT_FIRST else slip(rng, e.x)
    attempt = first(rng, question, answer)
    review = rng.random()
    if review < 0.15:
        return [
            attempt,
            Turn(FEEDBACK, solutions.LOOKS_WRONG),
            Turn(REFINED, solutions.second_guess(slip(rng, answer))),
        ]
    return [attempt, Turn(FEEDBACK, solutions.LOOKS_RIGHT), Turn(REFINED, attempt.reply)]


def judged(rng: random.Random, question: Question) -> list[Turn]:
    """Self-rewarding correction: a bare judgement, and another guess where it is wrong."""
    e = question.equation
    answer = e.x if rng.random() < RIGHT_FIRST else slip(rng, e.x)
    reply = solutions.RIGHT if answer == e.x else solutions.WRONG + solutions.second_guess(e.x)
    return [first(rng, question, answer), Turn(JUDGING, reply)]


def slip(rng: random.Random, answer: int) -> int:
    """Another answer: any other, each as likely."""
    return (answer + rng.randint(1, MODULUS - 1)) % MODULUS


def documents(rng: random.Random) -> Iterator[list[Turn]]:
    """Documents without end, on questions of the train split alone."""
    for question in questions("train", rng):
        yield document(rng, question)
