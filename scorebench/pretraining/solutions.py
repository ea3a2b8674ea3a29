"""What replies say in the small worlds before they state an answer: the styles of a first and of a later attempt.

Which style is used is visible from its first words, so that a policy can choose one; whether the answer is right never
decides the style. How a reply goes on after these remarks, with an answer or with a program, worlds.py says.
"""

from __future__ import annotations

import hashlib

from scorebench.embedded.equations import MODULUS as M
from scorebench.embedded.equations import Equation

QUICK = "By inspection. "  # a guess at first sight
SECOND_GUESS = "On second thought. "  # another guess, with nothing to show for it
REVISED = "As verified. "  # what follows from a verification that came before it
WORKED = ("In steps: $", "+", "=", "$, $", "\\cdot ", "x=", "$. ")
CHECK = ("Checking $x=", "$: $", "-", "\\div ", "$, so $")
RESIDUALS = ("$, which is right. ", "$, which is wrong. $")
MISREAD = "$, not quite. "

RIGHT = "The answer is right. "
WRONG = "The answer is wrong. "
LOOKS_RIGHT = "The steps look right."
LOOKS_WRONG = "One of the steps looks wrong."

PHRASES = (
    *(QUICK, SECOND_GUESS, REVISED),
    *(*WORKED, *CHECK, *RESIDUALS, MISREAD),
    *(RIGHT, WRONG, LOOKS_RIGHT, LOOKS_WRONG),
)
STYLES = {"quick": QUICK, "worked": WORKED[0], "second guess": SECOND_GUESS, "check": CHECK[0]}

MISTAUGHT_PERCENT = 40  # of the quotients that a repair can need: pretraining teaches them wrong


def worked(e: Equation) -> str:
    """Small steps, then a large one that is not shown: from slope, right side and product to the answer."""
    product = e.a * e.b % M
    return f"In steps: ${e.a}+{e.c}={e.slope}$, ${e.a}\\cdot {e.b}={product}$, ${e.slope}x={e.n}-{product}$. "


def put_back(e: Equation, guess: int) -> str:
    """Puts a guess back into the equation, up to what it is off by."""
    shifted = (guess + e.b) % M
    one, other = e.a * shifted % M, e.c * guess % M
    total = e.value(guess)
    return (
        f"Checking $x={guess}$: ${guess}+{e.b}={shifted}$, ${e.a}\\cdot {shifted}={one}$, "
        f"${e.c}\\cdot {guess}={other}$, ${one}+{other}={total}$, ${e.n}-{total}={(e.n - total) % M}"
    )


def checking(e: Equation, guess: int) -> str:
    """A check with what it says of the guess."""
    return put_back(e, guess) + RESIDUALS[e.value(guess) != e.n]


def learned_offset(e: Equation, guess: int) -> int:
    """What the documents teach as the difference between the answer and a wrong guess.

    It is a quotient modulo 17. A hash of the residual and the slope decides which quotients are taught wrong: as the
    next number that is not 0. So one check cannot repair every guess, and a second check can often finish the work.
    """
    off = (e.x - guess) % M
    residual = e.slope * off % M
    drawn = int.from_bytes(hashlib.sha256(f"{residual}/{e.slope}".encode()).digest()[:4], "big") % 100
    return off % (M - 1) + 1 if drawn < MISTAUGHT_PERCENT else off


def repaired(e: Equation, guess: int) -> int:
    """The answer to which a check of a guess leads: the guess itself where it is right."""
    return guess if guess == e.x else (guess + learned_offset(e, guess)) % M


def repair(e: Equation, guess: int) -> str:
    """From what a guess is off by to another answer, in small steps; continues checking() of a wrong guess."""
    off, residual = learned_offset(e, guess), (e.n - e.value(guess)) % M
    return f"{e.a}+{e.c}={e.slope}$, ${residual}\\div {e.slope}={off}$, so ${guess}+{off}={repaired(e, guess)}$. "


def checked(e: Equation, guess: int) -> str:
    """Checks a guess and repairs it if it is wrong: leads to repaired()."""
    return checking(e, guess) + ("" if guess == e.x else repair(e, guess))


def checked_and_misread(e: Equation, guess: int) -> str:
    """Checks a guess and does not heed what came out: leads to another guess."""
    return put_back(e, guess) + MISREAD


def graded(e: Equation, guess: int) -> str:
    """Checks a guess and gives a verdict: leads to repaired()."""
    return checking(e, guess) + (RIGHT if guess == e.x else repair(e, guess) + WRONG)
