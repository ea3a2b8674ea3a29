"""The same number of trials for every trained method: `scorebench reproduce --tune`.

A trial trains with all learning rates of the method's preset times one value, on a seed that no table has, and is
judged on validation problems, which no table shows. The value with the best mean of Acc@t1 and Acc@t2 is taken: the
reward that all methods share. Acc@t2 alone would be blind to first attempts. Of equal values the one nearest to 1 is
taken, then the smaller one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scorebench.api import registry
from scorebench.api.errors import UserError
from scorebench.api.protocols import trains
from scorebench.embedded import learning_rates
from scorebench.evaluation.settings import Settings
from scorebench.report.rows import Row, to_csv
from scorebench.report.summary import RunSummary, summarize
from scorebench.reproduction.jobs import Job
from scorebench.reproduction.page import TRIALS, read_csv
from scorebench.storage.files import write_json, write_text

VALUES = (1.0, 2.0)
SEED = 100

Key = tuple[str, str]  # task, method


@dataclass(frozen=True)
class Trial:
    """One value for one method on the task that it is trained on."""

    value: float
    job: Job

    @property
    def key(self) -> Key:
        return self.job.task, self.job.method


def trials(tasks: Sequence[str], methods: Sequence[str], out: Path, limit: int | None) -> list[Trial]:
    """Those of every trained method, on the tasks that the given tasks are trained on; UserError if none trains."""
    schools = dict.fromkeys(registry.find("task", task).trained_on for task in tasks)
    found = []
    for school in schools:
        for name in methods:
            method = registry.find("method", name)
            if trains(method):
                preset = method.preset(registry.find("task", school), embedded=True).model_dump()
                found += [_trial(school, name, preset, value, out, limit) for value in VALUES]
    if not found:
        raise UserError(f"--tune is for methods that train, and none of {', '.join(methods)} does.")
    return found


def _trial(task: str, method: str, preset: Mapping[str, object], value: float, out: Path, limit: int | None) -> Trial:
    assignments = [f"{path}={rate * value!r}" for path, rate in learning_rates.rates(preset)]
    settings = Settings(
        method=[method], task=[task], split="validation", seed=SEED, set=assignments, out=out, limit=limit
    )
    return Trial(value, Job(settings, note=f"learning rates x {value:g}"))


def judged(found: Sequence[Trial]) -> dict[Key, dict[float, RunSummary]]:
    """The result of each value, for the methods all of whose trials came to their end: others have no fair choice."""
    results: dict[Key, dict[float, RunSummary]] = {}
    for trial in found:
        run = trial.job.finished()
        if run:
            summary = summarize(run.meta(), list(run.rows().values()), run.name)
            results.setdefault(trial.key, {})[trial.value] = summary
    return {key: own for key, own in results.items() if len(own) == len(VALUES)}


def shared_reward(run: RunSummary) -> float:
    """The mean of Acc@t1 and Acc@t2."""
    five = run.five()
    return (five["acc_t1"].value + five["acc_t2"].value) / 2


def choose(rewards: Mapping[float, float]) -> float:
    """The value to take, from the shared reward by value."""
    return min(rewards, key=lambda value: (-rewards[value], abs(math.log(value)), value))


def record(results: Mapping[Key, Mapping[float, RunSummary]], to: Path, trying: bool) -> dict[Key, float]:
    """Writes trials.csv into `to`, the choice into the embedded world's learning_rates.json, and returns the choice.

    What stands in either of them about other methods and tasks is kept. trying: learning_rates.json stays as it is.
    """
    choice = {key: choose({value: shared_reward(run) for value, run in own.items()}) for key, own in results.items()}
    if not choice:
        return choice
    kept: list[Row] = [{**row} for row in read_csv(to / TRIALS) if (row["task"], row["method"]) not in choice]
    rows = [_row(key, value, own[value], value == choice[key]) for key, own in results.items() for value in sorted(own)]
    write_text(to / TRIALS, to_csv([*kept, *rows]))
    if not trying:
        factors = learning_rates.factors()
        for (task, method), value in choice.items():
            factors.setdefault(task, {})[method] = value
        write_json(learning_rates.FILE, factors)
    return choice


def _row(key: Key, value: float, run: RunSummary, taken: bool) -> Row:
    five = {name: round(run.five()[name].value, 6) for name in ("acc_t1", "acc_t2", "delta")}
    task, method = key
    more = {"chosen": str(taken).lower(), "n": run.n, "seed": run.identity.seed, "run": run.identity.run}
    return {"method": method, "task": task, "value": value, **five, **more}
