"""Problems to dialogues to verdicts to episodes, on disk as they complete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from scorebench.api.percent import percent
from scorebench.api.progress import progress
from scorebench.api.protocols import Engine, Method, Task
from scorebench.api.types import Episode, Problem, Reply, Sampling
from scorebench.dialogue.player import EpisodeRequest, Player, graders
from scorebench.storage.runs import Run


def graded_rows(run: Run, problems: Sequence[Problem], samples: int) -> dict[tuple[str, int], Episode]:
    """The run's episodes on these problems, in their order, by problem and sample; those with an error left out."""
    stored = run.rows()
    wanted = [(problem.id, sample) for problem in problems for sample in range(samples)]
    return {key: stored[key] for key in wanted if key in stored and not has_error(stored[key])}


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
    rows = graded_rows(run, problems, samples)
    every = [(problem, sample) for problem in problems for sample in range(samples)]
    donors = _donors(problems)
    missing = [EpisodeRequest(p, k, _given(p), donors.get(p.id)) for p, k in every if (p.id, k) not in rows]
    done = len(every) - len(missing)
    with graders() as pool, run.writing() as out, progress(f"{method.name} on {task.name}", len(every), done) as tell:
        player = Player(method, task, engine, sampling, turns, seed, pool)
        tally = Tally(turns)
        for episode in rows.values():
            tally.add(episode)
        async with aclosing(player.episodes(missing, engine.at_once)) as episodes:
            async for episode in episodes:
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
        rates = [f"Acc@t{turn} {percent(passed / max(1, self.scored))}" for turn, passed in enumerate(self.passed_T, 1)]
        return ", ".join(rates) + " %" + (f", errors: {self.errors}" if self.errors else "")


def _meter(engine: Engine) -> Callable[[], dict[str, float]]:
    """Reads what an engine has spent from now on; nothing where it keeps no account."""
    start = dict(getattr(engine, "account", {}))
    return lambda: {name: getattr(engine, "account", {})[name] - before for name, before in start.items()}


def _donors(problems: Sequence[Problem]) -> Mapping[str, Problem]:
    """For each problem the one before it, in a circle; nothing where there is one problem only."""
    return {p.id: problems[at - 1] for at, p in enumerate(problems)} if len(problems) > 1 else {}


def has_error(episode: Episode) -> bool:
    return any(attempt.verdict.outcome == "error" for attempt in episode.attempts)


def _given(problem: Problem) -> Reply | None:
    return None if problem.given is None else Reply(problem.given, finish_reason="given")
