"""Tries a task's verdicts where the right one is known: gold must pass; trivial replies and tricks must fail.

A task takes part by having, beside what protocols.Task asks for,

    gold(problem)     a reply that must pass (needed);
    trivial(problem)  by name, replies that must fail, beside those that fail on every task (optional);
    tricks(problem)   by name, replies that attack the grader and must fail (optional);
    splits            the splits it has, where these are not all three (optional).

An error of the harness is neither: whatever was expected, it counts as a failed check and is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.api.protocols import Source, Split
from scorebench.api.types import Problem, Verdict
from scorebench.dialogue.player import graded, graders

# Wrong on every task: none of them states an answer, and none is a program that does anything.
TRIVIAL: Mapping[str, str] = {
    "an empty reply": "",
    "white space": " \n\t\n",
    "a refusal": "I am sorry, I do not know.",
    "a bare 0": "0",
    "pass": "pass",
    "return None": "    return None\n",
}
GOLD, TRICKS = "gold", "tricks"
SPREAD = 3  # problems that each trick meets, unless it is to meet all


@dataclass(frozen=True)
class Check:
    """A reply to a problem and the outcome that it must have. kind: the line of the report that it counts in."""

    kind: str
    name: str
    problem: Problem
    reply: str
    expected: Literal["pass", "fail"]


@dataclass(frozen=True)
class Failure:
    """A check that did not hold, and the verdict that it got."""

    check: Check
    verdict: Verdict

    def __str__(self) -> str:
        check, got = self.check, self.verdict
        what = check.kind if check.kind == check.name else f"{check.kind}, {check.name}"
        return f"{check.problem.id}, {what}: {got.outcome}, not {check.expected} ({got.rule}: {got.detail:.200})"


@dataclass
class Report:
    """What was tried and what did not hold. problems: how many of each split; done: checks by kind."""

    task: str
    data: str
    problems: dict[str, int]
    tricks: int = 0
    done: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.failures


def validate(task: Any, source: Source, limit: int | None = None, thorough: bool = False) -> Report:
    """Tries every problem of every split that the task has, or the first `limit` of each split.

    thorough: every trick on every problem, which takes hours on a real benchmark; else each trick on SPREAD problems,
        evenly spread. UserError where the task has no gold answers or its problems cannot be loaded.
    """
    if not hasattr(task, "gold"):
        raise UserError(f"The task {task.name} has no gold answers to validate with: give it a method gold(problem).")
    splits: Sequence[Split] = getattr(task, "splits", get_args(Split))
    loaded = {split: task.load(split, source) for split in splits}
    problems = [problem for split in splits for problem in loaded[split].problems[:limit]]
    report = Report(
        task=task.name,
        data=loaded[splits[-1]].data,
        problems={split: len(loaded[split].problems[:limit]) for split in splits},
        tricks=len(tricks_of(task, problems[0])) if problems else 0,
    )
    jobs = [*_plain_jobs(task, problems), *_trick_jobs(task, problems, thorough)]
    with graders() as pool, progress(f"validate {task.name}", len(jobs)) as tell:
        tried = [pool.submit(_try, task, job) for job in jobs]
        for done, future in enumerate(as_completed(tried), start=1):
            _count(report, future.result())
            tell(done, f"{len(report.failures)} failed")
    report.failures.sort(key=lambda failure: (failure.check.kind, failure.check.problem.id, failure.check.name))
    return report


def _try(task: Any, job: Sequence[Check]) -> list[tuple[Check, Verdict]]:
    return [(check, graded(task.grade, check.problem, check.reply)) for check in job]


def _plain_jobs(task: Any, problems: Iterable[Problem]) -> Iterator[list[Check]]:
    """A job a problem: gold, and all that is trivial."""
    for problem in problems:
        replies = {**TRIVIAL, **(task.trivial(problem) if hasattr(task, "trivial") else {})}
        replies["the problem itself"] = problem.text
        if problem.given is not None:
            replies["the given attempt"] = problem.given
        wrong = [Check(name, name, problem, reply, "fail") for name, reply in replies.items()]
        yield [Check(GOLD, GOLD, problem, task.gold(problem), "pass"), *wrong]


def _trick_jobs(task: Any, problems: Sequence[Problem], thorough: bool) -> Iterator[list[Check]]:
    """A job a trick and problem: some take all the time there is."""
    names = sorted({name for problem in problems[:1] for name in tricks_of(task, problem)})
    for number, name in enumerate(names):
        for problem in problems if thorough else _spread(problems, number):
            yield [Check(TRICKS, name, problem, tricks_of(task, problem)[name], "fail")]


def tricks_of(task: Any, problem: Problem) -> Mapping[str, str]:
    return task.tricks(problem) if hasattr(task, "tricks") else {}


def _spread(problems: Sequence[Problem], number: int) -> list[Problem]:
    """SPREAD problems at equal distances, other ones for every trick."""
    chosen = {(number + place * len(problems) // SPREAD) % len(problems) for place in range(SPREAD)}
    return [problems[index] for index in sorted(chosen)]


def _count(report: Report, results: Iterable[tuple[Check, Verdict]]) -> None:
    for check, verdict in results:
        report.done[check.kind] += 1
        if verdict.outcome != check.expected and not _hits_by_chance(check, verdict):
            report.failures.append(Failure(check, verdict))


def _hits_by_chance(check: Check, verdict: Verdict) -> bool:
    """Whether a reply that states nothing passed by a loose reading: 0 or the problem's last formula is the answer."""
    return check.kind in ("a bare 0", "the problem itself") and verdict.passed and verdict.reading == "loose"


def as_text(report: Report) -> str:
    """The report for a person: a line a kind of check, then every check that did not hold."""
    splits = ", ".join(f"{split} {count:,}" for split, count in report.problems.items())
    total = sum(report.problems.values())
    lines = [f"{report.task} ({report.data}): {total:,} problems ({splits})"]
    failed = Counter(failure.check.kind for failure in report.failures)
    width = max(map(len, report.done), default=0)
    for kind, done in report.done.items():
        held = f"{done - failed[kind]:,} of {done:,}"
        verb = "pass" if kind == GOLD else "fail"
        note = f"  {report.tricks} attacks on the grader" if kind == TRICKS else ""
        lines.append(f"  {kind:{width}}  {verb}  {held}{note}")
    lines += [f"  wrong: {failure}" for failure in report.failures]
    lines.append("All of it holds." if report.holds else f"{len(report.failures):,} checks do not hold.")
    return "\n".join(lines)
