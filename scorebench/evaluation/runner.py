"""Problems to dialogues to verdicts to episodes, on disk as they complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scorebench.api.progress import progress
from scorebench.api.protocols import Engine, Method, Task
from scorebench.api.types import Episode, Problem, Reply, Sampling
from scorebench.dialogue.player import EpisodeRequest, Player, graders
from scorebench.storage.runs import Run, digest


def problems_identity(task: Task, problems: Sequence[Problem]) -> Mapping[str, Any]:
    """What stands in a run's identity for its problems: how many, and a digest of what a model is shown of them."""
    shown = [(problem.id, task.first_prompt(problem), problem.given) for problem in problems]
    return {"count": len(problems), "digest": digest(shown)}


async def evaluate(
    run: Run,
    method: Method,
    task: Task,
    problems: Sequence[Problem],
    engine: Engine,
    sampling: Sampling,
    turns: int,
    samples: int,
    seed: int,
) -> list[Episode]:
    """Plays what the run still lacks, and returns all of its episodes in the order of the problems.

    An episode with an error in it is no result: it is played again when the run is taken up.
    """
    spent = _meter(engine)
    rows = {key: episode for key, episode in run.rows().items() if not has_error(episode)}
    every = [(problem, sample) for problem in problems for sample in range(samples)]
    missing = [EpisodeRequest(p, k, _given(p)) for p, k in every if (p.id, k) not in rows]
    done = len(every) - len(missing)
    with graders() as pool, run.writing() as out, progress(f"{method.name} on {task.name}", len(every), done) as tell:
        player = Player(method, task, engine, sampling, turns, seed, pool)
        tally = Tally(turns)
        for episode in rows.values():
            tally.add(episode)
        async for episode in player.episodes(missing, engine.at_once):
            out.append(episode, spent())
            rows[episode.problem_id, episode.sample] = episode
            done += 1
            tally.add(episode)
            tell(done, str(tally))
    return [rows[p.id, k] for p, k in every]


class Tally:
    """Accuracy at each attempt so far, as the progress shows it; like the metrics, over episodes without an error."""

    def __init__(self, turns: int) -> None:
        self.passed_T = [0] * turns
        self.scored = 0
        self.errors = 0

    def add(self, episode: Episode) -> None:
        if has_error(episode):
            self.errors += 1
            return
        self.scored += 1
        for turn, attempt in enumerate(episode.attempts):
            self.passed_T[turn] += attempt.verdict.passed

    def __str__(self) -> str:
        rates = [
            f"Acc@t{turn} {100 * passed / max(1, self.scored):.1f}" for turn, passed in enumerate(self.passed_T, 1)
        ]
        return ", ".join(rates) + " %" + (f", errors: {self.errors}" if self.errors else "")


def _meter(engine: Engine) -> Callable[[], dict[str, float]]:
    """Reads what an engine has spent from now on; nothing where it keeps no account."""
    start = dict(getattr(engine, "account", {}))
    return lambda: {name: getattr(engine, "account", {})[name] - before for name, before in start.items()}


def has_error(episode: Episode) -> bool:
    return any(attempt.verdict.outcome == "error" for attempt in episode.attempts)


def _given(problem: Problem) -> Reply | None:
    return None if problem.given is None else Reply(problem.given, finish_reason="given")
