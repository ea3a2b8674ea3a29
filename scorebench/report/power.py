"""What `scorebench power` prints."""

from __future__ import annotations

import math
from textwrap import fill

from scorebench.api.errors import UserError
from scorebench.api.percent import percent
from scorebench.statistics.power import Difference, smallest_delta

POWERS = (0.8, 0.9)


def power_text(problems: int, delta: float, samples: int, differing: float, lasting: float) -> str:
    """The power at these numbers, and the problems and samples that the difference needs. All shares are of 1.

    Raises UserError where the numbers contradict each other.
    """
    if not 0 < abs(delta) <= 1:
        raise UserError(f"--delta {100 * delta:g} is no difference: give points of percent above 0, such as 4.4.")
    if not abs(delta) <= differing <= 1:
        raise UserError(
            f"--differing {100 * differing:g} does not go with --delta {100 * delta:g}: verdicts differ on at least as "
            "many problems as the methods are apart; give a number from there to 100."
        )
    found = Difference(delta, differing, lasting)
    lines = [
        f"A difference of {percent(abs(delta))} points in Acc@t2 between two methods, both on the same problems.",
        f"Assumed: on {percent(differing)} % of the problems one sample of each method differs in its verdict; "
        f"{percent(lasting)} % of that stays however many samples are taken. --differing and --lasting change this.",
        "",
        f"{problems:,} problems x {_samples(samples)}: the difference is found (p < 0.05) in "
        f"{percent(found.power(problems, samples))} % of such comparisons.",
    ]
    for power in POWERS:
        lines += ["", f"To find it in {100 * power:.0f} % of them:", *_needs(found, power, problems, samples)]
    lines += ["", "Another training of the same method would differ too; several seeds show by how much."]
    return "\n".join(fill(line, 80) if line[:1] != " " else line for line in lines)


def _needs(found: Difference, power: float, problems: int, samples: int) -> list[str]:
    counts = dict.fromkeys((1, samples, 8, 32))
    lines = [f"  {found.problems_for(power, count):>9,} problems x {_samples(count)}" for count in sorted(counts)]
    enough = found.samples_for(power, problems)
    told = f"{enough:,} samples of each" if enough else "no number of samples is enough"
    smallest = smallest_delta(problems, samples, found.differing, found.lasting, power)
    reach = "no difference" if math.isnan(smallest) else f"a difference of {percent(smallest)} points"
    return [
        *lines,
        f"  with {problems:,} problems: {told}",
        f"  {problems:,} problems x {_samples(samples)} find {reach} so often",
    ]


def _samples(count: int) -> str:
    return f"{count:,} sample{'s' if count > 1 else ''}"
