"""Writes tests/formats/files/evalplus: real programs and results of evalplus's, of a model that answers from a list.

    pip install evalplus==0.3.1
    python -m tests.formats.made_by.evalplus_programs tests/formats/files/evalplus

Two problems of our own in the place of HumanEval+, two samples each: as a folder and as a file, sanitized and graded.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

PROGRAMS = {"one": ["    return 1\n", "    return 2\n"], "two": ["    return 2\n", "    x = 2\n    return x\n"]}


def problem(number: int, name: str) -> dict[str, Any]:
    """A problem with the fields of HumanEval+; its first program is right."""
    return {
        "task_id": f"Own/{number}",
        "prompt": f"def {name}():\n",
        "entry_point": name,
        "canonical_solution": PROGRAMS[name][0],
        "contract": "",
        "base_input": [[]],
        "plus_input": [[]],
        "atol": 0,
    }


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        problems = Path(folder) / "problems.jsonl"
        rows = [json.dumps(problem(number, name)) for number, name in enumerate(PROGRAMS)]
        problems.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
        os.environ["HUMANEVAL_OVERRIDE_PATH"] = str(problems)  # evalplus reads it when it is imported
        write(target)


def write(target: Path) -> None:
    from evalplus.codegen import codegen
    from evalplus.evaluate import evaluate
    from evalplus.provider import DecoderBase

    class Listed(DecoderBase):
        def codegen(self, prompt: str, do_sample: bool = True, num_samples: int = 200) -> list[str]:
            return PROGRAMS[prompt.removeprefix("def ").partition("(")[0]]

        def is_direct_completion(self) -> bool:
            return True

    for number in range(len(PROGRAMS)):  # codegen does not make the folders for what is not sanitized
        (target / "programs.raw" / f"Own_{number}").mkdir(parents=True)
    for place in ("programs", "samples.jsonl"):
        codegen(str(target / place), Listed("listed"), "humaneval", n_samples=2)
        evaluate("humaneval", str(target / place), parallel=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
