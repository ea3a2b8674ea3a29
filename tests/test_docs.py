"""What the pages say is true: commands are taken and run, links lead somewhere, programs run, figures are measured."""

from __future__ import annotations

import asyncio
import csv
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from scorebench.cli.main import app
from scorebench.evaluation.settings import Settings, settings_from
from scorebench.reproduction.page import read_csv, short_table

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = [
    *PAGES,
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "scorebench/embedded/SMALL-WORLD.md",
]

# Commands that are parsed and not run, and why.
NOT_RUN = {
    r"--model |torchrun": "needs a model or an endpoint of the reader's own",
    r"samples\.jsonl|run\.yaml|FILE|FOLDER|NAME": "needs files of the reader's own",
    r"^reproduce": "takes hours",
    r"^view --serve": "serves until Ctrl-C; tests/cli/test_view.py runs it",
    r"^train|^(run|scaling).*--method \S*score(?!.*--set stage1.steps)": "trains for minutes",
    r"^validate": "takes minutes for programs; tests/evaluation/test_validate.py runs it",
}
SMALL = {"run": ["--limit", "3"], "scaling": ["--limit", "3"]}  # added to a command that is run


def commands(page: Path) -> list[str]:
    """The arguments of every `scorebench ...` on a page: in its code, with or without `python -m`, less comments."""
    text = re.sub(r"\\\n\s+", " ", page.read_text(encoding="utf-8"))
    blocks = [line for line in text.splitlines() if line.startswith("    ")]
    for fence in re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, flags=re.S):
        blocks += fence.splitlines()
    found = [part for line in blocks for part in re.split(r"&&|;|\|(?!\|)", re.sub(r"\s#.*", "", line))]
    found += re.findall(r"`([^`\n]+)`", text)
    calls = [
        re.match(r"\s*(?:[A-Z_]+=\S* )*(?:\S*/)?(?:torchrun .*-m )?(?:\S*python\S* -m )?scorebench (.+)", part)
        for part in found
    ]
    return [call[1].strip() for call in calls if call and "..." not in call[1]]


ALL = sorted({command for page in PAGES for command in commands(page)})


def is_run(command: str) -> bool:
    return not any(re.search(pattern, command) for pattern in NOT_RUN)


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """examples/plugin, installed by pip into a folder that Python looks into."""
    target = tmp_path_factory.mktemp("plugin")
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*words, "--target", str(target), str(ROOT / "examples" / "plugin")], check=True)
    sys.path.insert(0, str(target))
    yield target
    sys.path.remove(str(target))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the commands of all pages are run one after the other."""
    return tmp_path_factory.mktemp("reader")


def call(words: list[str]) -> None:
    app(words, standalone_mode=False)


def test_the_pages_have_commands_and_every_reason_not_to_run_one_is_needed() -> None:
    assert len(ALL) > 30
    assert sum(map(is_run, ALL)) > 12
    for pattern in NOT_RUN:
        assert any(re.search(pattern, command) for command in ALL), pattern


@pytest.mark.parametrize("command", ALL)
def test_a_command_is_one_that_the_command_line_takes(
    command: str, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for model in re.findall(r"--model (\./\S+|\S+/\S+/\S+)", command):
        (tmp_path / model).mkdir(parents=True)
    name, *words = shlex.split(command)
    group: Any = typer.main.get_command(app)
    if name.startswith("-"):
        group.make_context("scorebench", [name], resilient_parsing=True)
        return
    assert name in group.commands, command
    if not words or all(not word.startswith("-") for word in words):
        return  # named in a sentence, as in `scorebench run`
    context = group.commands[name].make_context(name, [*words], resilient_parsing=False)
    flags = {flag: value for flag, value in context.params.items() if flag.rstrip("_") in Settings.model_fields}
    whole = {"method", "task"} <= {flag for flag, value in flags.items() if value}
    if name in ("run", "train") and whole and context.params["model_args"] != "help":
        settings_from(flags, None)


@pytest.mark.parametrize("command", [command for command in ALL if is_run(command)])
def test_a_command_runs(command: str, plugin: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the alphabet; those that read runs get one first."""
    monkeypatch.chdir(results)
    name, *words = shlex.split(command)
    if not (results / "results" / "runs").exists():
        call(["run", "--method", "base,think-again", "--task", "math,sums", "--limit", "3"])
    if name in SMALL and "--limit" not in words and words:
        words += SMALL[name]
    if name == "doctor":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if words or name in ("compare", "leaderboard", "plots", "view", "doctor", "tasks", "methods", "-h"):
        call([name, *words])


def test_the_plugin_is_small_and_its_task_is_trained_on_and_compared(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (ROOT / "examples/plugin/scorebench_sums").glob("*.py"):
        assert len(file.read_text().splitlines()) < 60
    monkeypatch.chdir(tmp_path)
    few = [word for s in ("stage1.steps=2", "stage2.steps=2", "problems=2", "samples=4") for word in ("--set", s)]
    call(["validate", "--task", "sums"])
    assert "All of it holds" in capsys.readouterr().out
    call(["run", "--method", "base,think-again", "--task", "sums"])
    call(["run", "--method", "score", "--task", "sums", *few])
    capsys.readouterr()
    call(["compare", "--format", "csv", "--baseline", "base"])
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {(row["task"], row["method"], row["n"]) for row in rows} == {
        ("sums", method, "5") for method in ("base", "think-again", "score")
    }
    (log,) = (tmp_path / "results" / "checkpoints").glob("sums-*/stage1/steps.jsonl")
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.parametrize("page", OURS, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs/api.md", ROOT / "docs/methods.md"], ids=str)
def test_python_on_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "page"}
    monkeypatch.setitem(sys.modules, "page", type(sys)("page"))
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.S)
    assert blocks
    for block in blocks:
        exec(block.replace("limit=100", "limit=4"), names)


def test_the_quick_start_runs(tmp_path: Path) -> None:
    source = (ROOT / "examples" / "quickstart.py").read_text().replace("limit=100", "limit=12")
    (tmp_path / "quickstart.py").write_text(source)
    environment = {**os.environ, "MPLBACKEND": "agg"}
    done = subprocess.run(
        [sys.executable, "quickstart.py"], cwd=tmp_path, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "acc_t2_difference" in done.stdout
    assert list(tmp_path.glob("accuracy-*.png"))


def test_the_notebook_runs_in_a_kernel_with_its_running_event_loop(tmp_path: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "examples" / "quickstart.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "clear the outputs before committing it"
    for cell in notebook.cells:
        cell.source = cell.source.replace("limit=100", "limit=12")
    loop = "import asyncio\nasyncio.get_running_loop()"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(loop))
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    asyncio.run(client.async_execute())
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= kinds
    assert not [output for output in shown if output.output_type == "error"]


def test_the_readme_has_the_figures_of_the_leaderboard() -> None:
    """Where this fails because the figures were measured again: put the table that it expects into README.md."""
    table = short_table(read_csv(ROOT / "results" / "embedded" / "leaderboard.csv"), "math")
    assert table in (ROOT / "README.md").read_text(encoding="utf-8"), f"the table should be\n{table}"
    assert table in (ROOT / "results" / "embedded" / "README.md").read_text(encoding="utf-8")
