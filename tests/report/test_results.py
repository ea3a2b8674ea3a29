"""The public interface: what `import scorebench` offers, in a script and where an event loop already runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import scorebench
from scorebench.api import event_loop
from scorebench.api.types import Problem
from scorebench.report.results import Results

LIMIT = 12


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interface") / "results"


@pytest.fixture(scope="module")
def results(out: Path) -> Results:
    async def in_a_notebook() -> Results:
        return scorebench.evaluate(method=["base", "self-refine"], task="math", limit=LIMIT, out=str(out))

    return asyncio.run(in_a_notebook())


def test_evaluate_works_inside_a_running_event_loop_and_gives_one_run_a_method(results: Results) -> None:
    assert [run.identity["method"]["name"] for run in results.runs] == ["base", "self-refine"]
    assert len(results.attempts()) == 2 * 2 * LIMIT


def test_every_way_of_looking_at_a_run_counts_the_same(results: Results, out: Path) -> None:
    table = results.compare(baseline="base").set_index("method")
    loaded = scorebench.load_runs(out)
    assert len(loaded) == len(results.attempts())
    for run in results.runs:
        method = run.identity["method"]["name"]
        episodes = run.episodes()
        assert len(episodes) == LIMIT
        for turn in (1, 2):
            right = sum(episodes[f"passed_t{turn}"])
            assert right / LIMIT == pytest.approx(table.loc[method, f"acc_t{turn}"])
            rows = loaded[(loaded.method == method) & (loaded.turn == turn)]
            assert rows.passed.sum() == right
            assert list(rows.text) == list(episodes[f"text_t{turn}"])
    assert set(scorebench.compare(out, baseline="base").columns) == set(table.reset_index().columns)


def test_a_notebook_shows_a_table_and_plots_are_figures(results: Results) -> None:
    from matplotlib.figure import Figure

    html = results._repr_html_()
    assert "embedded problems, not the benchmark" in html
    for word in ("self-refine", "Acc@t1", "delta"):
        assert word in html
        assert word in str(results)
    first = results.compare()["acc_t1"][0]
    assert f"{100 * first:.1f} [" in html
    figures = results.figures()
    assert figures
    assert all(isinstance(figure, Figure) for figure in figures.values())


def test_a_hostile_name_stays_text_in_html(results: Results, tmp_path: Path) -> None:
    run = tmp_path / "results" / "runs" / "hostile"
    run.mkdir(parents=True)
    stored = json.loads((results.runs[0].folder / "run.json").read_text())
    stored["identity"]["model"]["name"] = "<script>alert(1)</script>"
    (run / "run.json").write_text(json.dumps(stored))
    (run / "episodes.jsonl").write_bytes((results.runs[0].folder / "episodes.jsonl").read_bytes())
    html = Results.stored(tmp_path / "results")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_train_gives_a_checkpoint_that_transformers_opens(tmp_path: Path) -> None:
    few = {"stage1.steps": 1, "stage2.steps": 1, "problems": 2, "samples": 2}
    folder = scorebench.train("score", "math", out=tmp_path / "results", set=few)
    assert (folder / "config.json").is_file()
    again = scorebench.train("score", "math", out=tmp_path / "results", set=[f"{k}={v}" for k, v in few.items()])
    assert again == folder
    evaluated = scorebench.evaluate("score", "math", limit=2, out=tmp_path / "results", set=few)
    assert len(list((tmp_path / "results" / "checkpoints").iterdir())) == 1
    assert len(evaluated.runs[0].episodes()) == 2


def test_grade_reads_a_file_and_names_the_rows_that_it_leaves_out(tmp_path: Path) -> None:
    from scorebench.tasks.humaneval import task

    problems = task.load("test", scorebench.Source("embedded")).problems[:3]
    rows: list[dict[str, Any]] = [{"task_id": p.id, "completion": task.gold(p)} for p in problems]
    rows[1]["completion"] = "    return None\n"
    rows.append({"task_id": "no/such", "completion": "pass"})
    file = tmp_path / "samples.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.warns(UserWarning, match="no/such"):
        graded = scorebench.grade("humaneval", file, data="embedded")
    episodes = graded.runs[0].episodes()
    assert list(episodes["passed_t1"]) == [True, False, True]
    assert "samples.jsonl" in graded.compare()["method"][0]


def test_a_mistake_is_a_user_error() -> None:
    with pytest.raises(scorebench.UserError, match="did you mean score"):
        scorebench.evaluate("scre", "math")
    with pytest.raises(scorebench.UserError, match="There are no runs"):
        scorebench.load_runs("nowhere")


def test_import_scorebench_is_light_and_every_name_is_there() -> None:
    code = (
        "import sys, scorebench\n"
        "heavy = [m for m in sys.modules if m.split('.')[0] in ('torch', 'pandas', 'pydantic', 'numpy', 'typer')]\n"
        "assert not heavy, heavy\n"
        "names = [name for name in dir(scorebench) if name[0] != '_']\n"
        "assert all(getattr(scorebench, name) is not None for name in names)\n"
        "print(*names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    stub = (Path(scorebench.__file__).with_name("__init__.pyi")).read_text()
    typed = {line.split()[-1] for line in stub.splitlines() if " import " in line}
    assert typed <= set(done.stdout.split())
    assert {"evaluate", "train", "grade", "load_runs", "compare"} <= typed
    assert typed == set(vars(scorebench)["_MODULE_OF"])
    assert not hasattr(scorebench, "nothing")
    assert scorebench.Problem is Problem


def test_a_loop_that_runs_already_gets_results_and_faults_from_another_thread() -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    async def fail() -> None:
        raise ZeroDivisionError

    async def outer() -> int:
        with pytest.raises(ZeroDivisionError):
            event_loop.run(fail())
        return event_loop.run(double(4))

    assert asyncio.run(outer()) == 8
    assert event_loop.run(double(3)) == 6
