"""`scorebench export` and `scorebench grade` on files of other tools, as a user types them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_run import scorebench
from tests.formats.made_runs import made_run


def test_a_run_is_exported_by_name_and_graded_again(tmp_path: Path) -> None:
    run = made_run(tmp_path / "results" / "runs", "math")
    done = scorebench("export", "--format", "dataset", run.name, "--to", "new/folder", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{run.name} as dataset: new/folder\n"
    file = "new/folder/data/test-00000-of-00001.parquet"
    graded = scorebench("grade", "--task", "math", "--data", "embedded", file, folder=tmp_path)
    assert graded.returncode == 0, graded.stderr
    assert "3 of 1200 problems" in " ".join(graded.stdout.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["export", "--format", "dataset", "nothing", "--to", "x"], "no run 'nothing'"),
        (["export", "--format", "datasets", "RUN", "--to", "x"], "no --format 'datasets'; take lm-eval, inspect"),
        (["export", "--format", "dataset", "RUN", "--to", "."], ". is there already"),
        (
            ["grade", "--task", "math", "--data", "embedded", "table.csv"],
            "table.csv is no JSON: it begins with",
        ),
        (["grade", "--task", "math", "--data", "embedded", "empty"], "empty is neither a run's folder nor evalplus's"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(tmp_path: Path, words: list[str], says: str) -> None:
    run = made_run(tmp_path / "results" / "runs", "math")
    (tmp_path / "table.csv").write_text("id,reply\n1,4\n")
    (tmp_path / "empty").mkdir()
    done = scorebench(*[run.name if word == "RUN" else word for word in words], folder=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout
    assert not (tmp_path / "x").exists()
