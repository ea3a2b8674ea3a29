"""How long a candidate may take to answer."""

from __future__ import annotations

import os
import time

from scorebench.grading.sandbox.linux import Limits

LOOK_SECONDS = 0.25  # how often a candidate's clocks are read while it is waited for


class Patience:
    """Whether a candidate has slept too long, or taken too long altogether.

    Time spent waiting for a processor on a loaded machine is not held against it; time on a processor is limited by
    the kernel. What is left is sleep. It is added up over all waits of a job, short ones too: what the tests waited,
    less what the candidate ran or waited for a processor. It makes no difference whether the candidate is silent or
    sends its answer byte by byte.
    """

    def __init__(self, pid: int, limits: Limits) -> None:
        self.pid, self.limits = pid, limits
        self.deadline = time.monotonic() + limits.wall_seconds
        self.next_look = time.monotonic() + LOOK_SECONDS
        self.waited = 0.0
        self.queued = 0.0  # the most seconds in queue for a processor that any look has found: ended threads have none
        self.start: tuple[float, float] | None = None  # at the first look: seconds waited and seconds busy until then

    def is_over(self, waited: float) -> str | None:
        """A reason to give up, or None. To be called after every wait, with its seconds; costs little between looks."""
        self.waited += waited
        now = time.monotonic()
        if now < self.next_look:
            return None
        self.next_look = now + LOOK_SECONDS
        if now > self.deadline:
            return f"out of time ({self.limits.wall_seconds:g} s by the clock)"
        looked = self._look()
        if looked is None:
            return None
        busy, runnable = looked
        if self.start is None:
            self.start = self.waited, busy
        if runnable:
            return None  # the kernel adds up the time that it waits for a processor only when it gets one
        # From the first look on and not from look to look: clocks that lag behind once are ahead the next time.
        idle = self.waited - self.start[0] - (busy - self.start[1])
        return f"asleep for {self.limits.idle_seconds:g} s" if idle > self.limits.idle_seconds else None

    def _look(self) -> tuple[float, bool] | None:
        """Seconds that the candidate has run or waited to run, and whether it could run now; None if nobody says."""
        queued, runnable = 0, False
        try:
            ran = time.clock_gettime((~self.pid << 3) | 2)  # the processor clock of another process (Linux)
            for thread in os.listdir(f"/proc/{self.pid}/task"):
                with open(f"/proc/{self.pid}/task/{thread}/schedstat") as file:
                    queued += int(file.read().split()[1])
                with open(f"/proc/{self.pid}/task/{thread}/stat") as file:
                    runnable |= file.read().rpartition(")")[2].split()[0] == "R"
        except (OSError, ValueError):
            return None
        self.queued = max(self.queued, queued / 1e9)
        return ran + self.queued, runnable
