"""The reference answer of a problem: rows do not hold it, so it is looked up in the task's own problems."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorebench.api import registry
from scorebench.api.errors import UserError
from scorebench.evaluation.regrade import problems_of
from scorebench.storage.runs import Run

LONGEST = 4_000  # characters of a reference


class References:
    """Looks references up.

    data: the folder of the benchmark's files, if it is not where the runs found it. complaints: why there are no
    references, a sentence for each data set that is not at hand.
    """

    def __init__(self, data: Path | None = None) -> None:
        self.data = data
        self.complaints: list[str] = []
        self._found: dict[str, Mapping[str, str]] = {}

    def of(self, run: Run, problem: str) -> str | None:
        """The reference of a problem as text; None where the problems of the run cannot be loaded."""
        key = json.dumps([run.identity["task"], run.identity["data"], run.identity.get("problems")], default=str)
        if key not in self._found:
            self._found[key] = self._load(run)
        return self._found[key].get(problem)

    def _load(self, run: Run) -> Mapping[str, str]:
        name = run.identity["task"]["name"]
        try:
            problems = problems_of(run, registry.find("task", name), self.data)
        except (UserError, KeyError, TypeError) as fault:
            reason = str(fault)
            if run.identity["data"].startswith("folder:") and self.data is None:
                reason = "the files that it was run on are not found; name their folder with --data."
            self.complaints.append(f"No references are shown for {name}: {reason}")
            return {}
        return {problem.id: as_text(problem.reference) for problem in problems.values()}


def as_text(reference: Any) -> str:
    """An answer as it is; of a program's reference, its tests."""
    tests = reference.get("tests", reference) if isinstance(reference, Mapping) else reference
    if isinstance(tests, (list, tuple)):
        tests = "\n".join(map(str, tests))
    text = tests if isinstance(tests, str) else json.dumps(tests, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
