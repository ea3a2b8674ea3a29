"""How many problems and samples it takes to see a difference between two methods.

Two methods answer the same problems, K samples of each. On one sample their verdicts differ in a share `differing` of
the problems, and one method is ahead by `delta`. A problem's difference then has the variance

    v(K) = (differing - delta^2) (lasting + (1 - lasting) / K)

with `lasting` the part of it that more samples of the same problem do not average out. McNemar's test, and the
sign-flip test that is its form for several samples, see the difference with the power (Connor 1987, Biometrics 43:207;
Miettinen 1968, Biometrics 24:339)

    Phi((|delta| sqrt(N) - z sqrt(v0(K))) / sqrt(v(K))),   v0(K) = v(K) + delta^2, the variance under no difference

Not covered: how much another training of the same method would differ. That is what several seeds are for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scorebench.statistics.intervals import Z_95

MOST_PROBLEMS = 10_000_000


@dataclass(frozen=True)
class Difference:
    """A true difference. delta, differing: shares of 1. lasting: between 0 and 1."""

    delta: float
    differing: float
    lasting: float

    def variance(self, samples: int) -> float:
        """v(K) of one problem's difference."""
        return (self.differing - self.delta**2) * (self.lasting + (1 - self.lasting) / samples)

    def power(self, problems: int, samples: int) -> float:
        """The chance that a test at 5 % finds the difference, with the right sign."""
        from scipy.stats import norm

        variance = self.variance(samples)
        distance = abs(self.delta) * math.sqrt(problems) - Z_95 * math.sqrt(variance + self.delta**2)
        return float(norm.cdf(distance / math.sqrt(variance))) if variance > 0 else float(distance > 0)

    def problems_for(self, power: float, samples: int) -> int:
        """The fewest problems that give this power."""
        from scipy.stats import norm

        variance = self.variance(samples)
        needed = Z_95 * math.sqrt(variance + self.delta**2) + float(norm.ppf(power)) * math.sqrt(variance)
        return math.ceil((needed / self.delta) ** 2 - 1e-9)

    def samples_for(self, power: float, problems: int) -> int | None:
        """The fewest samples of each problem that give this power; None where no number does."""
        if self.power(problems, MOST_PROBLEMS) < power:
            return None
        low, high = 0, 1
        while self.power(problems, high) < power:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.power(problems, middle) >= power else (middle, high)
        return high


def smallest_delta(problems: int, samples: int, differing: float, lasting: float, power: float) -> float:
    """The smallest difference that is found with this power; nan where not even `differing` as a whole is."""
    if Difference(differing, differing, lasting).power(problems, samples) < power:
        return math.nan
    low, high = 0.0, differing
    for _ in range(60):
        middle = (low + high) / 2
        enough = Difference(middle, differing, lasting).power(problems, samples) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high
