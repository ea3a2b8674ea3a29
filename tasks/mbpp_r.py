"""MBPP-R: one repair of a given wrong program for an MBPP problem (Ni et al. 2024, after SCoRe's section on code).

The authors' programs are not public. A repair set is any model's wrong programs, frozen with their origin:
`freeze()` makes one, and LLMDebugger's programs of starcoder and codellama (Apache-2.0) are another.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from scorebench.api.errors import UserError
from scorebench.api.protocols import Loaded, Source, Split
from scorebench.api.text import is_text
from scorebench.api.types import Problem, Verdict
from scorebench.embedded import load_embedded
from scorebench.storage.datasets import MEND, Row, find_file, folder_label, read_bytes, rows_of
from scorebench.storage.files import replacing
from scorebench.tasks import mbpp

FROZEN = "mbpp_r.jsonl"
FROZEN_FIELDS = {"task_id": str, "solution": str, "origin": str}
LLM_DEBUGGER = "mbpp_llm_programs_ldb.jsonl"
# rerun_pass_py311: whether the program passed MBPP's tests when it was run again under Python 3.11.
LLM_DEBUGGER_FIELDS = {"task_id": str, "solution": str, "model": str, "rerun_pass_py311": bool}
LLM_DEBUGGER_ROWS = 1000


class MbppR(mbpp.Mbpp):
    """The task `mbpp-r`: prompts and verdicts of mbpp, and a wrong program as attempt 1.

    Ids are "MBPP/17/starcoder/0": the problem, the origin of the program, and its number among those of that origin.
    """

    name = "mbpp-r"
    splits = ("test",)

    def freeze(self, rows: Iterable[Row], origin: str, out: Path, source: Source) -> Frozen:
        """The function below, for `scorebench data`."""
        return freeze(rows, origin, out, source)

    def load(self, split: Split, source: Source) -> Loaded:
        """One problem for each wrong program whose MBPP problem belongs to the split.

        The repair set comes from a folder, and so does mbpp.jsonl if it is there; else MBPP comes from the hub.
        """
        if source.kind == "embedded":
            return load_embedded(self.name, split)
        if source.kind == "hub":
            raise UserError(
                "No repair set for mbpp-r is public on the hub: freeze a model's wrong programs with "
                "`scorebench data mbpp-r --from FILE` and name their folder with --data."
            )
        file = find_file(source.folder, FROZEN, LLM_DEBUGGER)
        content = read_bytes(file)
        problems, mbpp_label = load_beside(source)
        repairs = [
            _repair(problems[number], row, index)
            for number, row, index in _numbered(_wrong_programs(file, content))
            if number in mbpp.SPLITS[split]
        ]
        if not repairs:
            raise UserError(
                f"{file} has no wrong program for MBPP's {split} split: name another repair set with --data."
            )
        # Of both files: another mbpp.jsonl beside the same repair set is another label.
        return Loaded(tuple(repairs), folder_label(content, mbpp_label.encode()))


@dataclass(frozen=True)
class Frozen:
    """What became of the programs that freeze() was given: how many were wrong, right, or could not be graded."""

    wrong: int
    right: int
    errors: int


def freeze(rows: Iterable[Row], origin: str, out: Path, source: Source) -> Frozen:
    """Grades programs for MBPP problems and writes the wrong ones as a repair set, in the order given.

    rows: each has "task_id" and the program as "completion" or "solution".
    origin: the model that wrote them; it stands in the ids of the repair problems.
    source: where MBPP is read from.
    Raises UserError at a row of an unknown problem or without a program; then nothing is written. Programs that the
    harness fails to grade are counted and left out.
    """
    problems, _ = mbpp.load_mbpp(source)
    given = [(problems[_number(row)], _program(row)) for row in rows]
    with ThreadPoolExecutor() as pool:
        verdicts = list(pool.map(lambda pair: mbpp.task.grade(*pair), given))
    lines = [
        json.dumps({"task_id": problem.id, "solution": program, "origin": origin})
        for (problem, program), verdict in zip(given, verdicts, strict=True)
        if verdict.outcome == "fail"
    ]
    with replacing(out, "--to") as part:
        part.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return _counted(verdicts)


def _counted(verdicts: Iterable[Verdict]) -> Frozen:
    count = Counter(verdict.outcome for verdict in verdicts)
    return Frozen(wrong=count["fail"], right=count["pass"], errors=count["error"])


def load_beside(source: Source) -> tuple[dict[int, Problem], str]:
    """MBPP for a repair set: from its folder if mbpp.jsonl is there too, else from the hub."""
    folder = source.folder or Path()
    here = any((folder / name).is_file() for name in (mbpp.MBPP.file, mbpp.MBPP.file + ".gz"))
    return mbpp.load_mbpp(source if here else Source("hub"))


def _wrong_programs(file: Path, content: bytes) -> list[Row]:
    """The rows of a repair set, each with "task_id", "solution" and "origin"."""
    if file.name.startswith(FROZEN):
        return list(rows_of(content, file.name, FROZEN_FIELDS))
    rows = list(rows_of(content, file.name, LLM_DEBUGGER_FIELDS))
    if len(rows) != LLM_DEBUGGER_ROWS:
        raise UserError(f"{file} has {len(rows):,} rows and not {LLM_DEBUGGER_ROWS:,}: {MEND}")
    wrong = (row for row in rows if not row["rerun_pass_py311"])
    return [replace(row, values={**row.values, "origin": row["model"]}) for row in wrong]


def _numbered(rows: Iterable[Row]) -> Iterable[tuple[int, Row, int]]:
    """Rows with the number of their MBPP problem and their place among those of one problem and origin."""
    seen: Counter[tuple[int, str]] = Counter()
    for row in rows:
        number = _number(row)
        yield number, row, seen[number, row["origin"]]
        seen[number, row["origin"]] += 1


def _repair(problem: Problem, row: Row, index: int) -> Problem:
    name = f"{problem.id}/{row['origin']}/{index}"
    return replace(problem, id=name, given=row["solution"], tags={"origin": row["origin"]})


def _number(row: Row) -> int:
    """The task_id as MBPP has it, from 17, "17", "MBPP/17" or "Mbpp/17"."""
    task_id = row.values.get("task_id")
    match = re.fullmatch(r"(?:mbpp/)?(\d{1,3})", str(task_id), flags=re.IGNORECASE)
    if not match or not 1 <= int(match[1]) <= 974:
        raise UserError(f"{row.where} has the task_id {task_id!r}, which MBPP does not: mend or remove that row.")
    return int(match[1])


def _program(row: Row) -> str:
    program = row.values.get("completion", row.values.get("solution"))
    if not isinstance(program, str) or not is_text(program):
        raise UserError(f'{row.where} has no program as "completion" or "solution": mend or remove that row.')
    return program


task = MbppR()
