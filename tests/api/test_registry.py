"""A package with a broken entry point hurts nothing but its own names, and is named in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scorebench.api import registry
from scorebench.api.errors import UserError
from tests.plugin import install

GOOD = """
'''Twice: answers two times.

More.'''
class Twice:
    name = "twice"
    def dialogue(self, task, problem, turns):
        yield
twice = Twice()
"""
TASK = """
from tests.toy import Toy
class Mine(Toy):
    name = "mine"
{change}
mine = Mine()
"""
BROKEN_METHODS = {
    "raises": "raise ValueError('no such luck')",
    "exits": "import sys; sys.exit(3)",
    "not-there": "",
    "a-class": GOOD.replace("twice = Twice()", "twice = Twice"),
    "no-dialogue": GOOD.replace("def dialogue", "def dialog"),
    "dialogue-is-text": GOOD.replace("twice = Twice()", "twice = Twice(); twice.dialogue = 'hello'"),
    "no-preset": GOOD.replace("twice = Twice()", "Twice.train = print; twice = Twice()"),
    "other-name": GOOD.replace('"twice"', '"thrice"'),
    "raises-when-asked": GOOD.replace('name = "twice"', "name = property(lambda self: 1 / 0)"),
}
BROKEN_TASKS = {
    "no-grade": "    grade = None",
    "version-is-a-number": "    version = 1",
    "no-vote-key": "    @property\n    def vote_key(self): raise AttributeError('vote_key')",
}


@pytest.mark.parametrize("fault", BROKEN_METHODS)
def test_a_broken_method_is_one_sentence_that_names_the_package(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"broken_{fault.replace('-', '_')}"
    install(tmp_path, "acme-methods", {module: BROKEN_METHODS[fault]}, {"method": {"twice": f"{module}:twice"}})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="acme-methods"):
        registry.find("method", "twice")
    assert registry.find("method", "base").name == "base"


@pytest.mark.parametrize("fault", BROKEN_TASKS)
def test_a_task_that_lacks_a_member_is_one_sentence(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"task_{fault.replace('-', '_')}"
    source = TASK.format(change=BROKEN_TASKS[fault])
    install(tmp_path, "acme-tasks", {module: source}, {"task": {"mine": f"{module}:mine"}})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="acme-tasks") as complaint:
        registry.find("task", "mine")
    assert "\n" not in str(complaint.value)


def test_a_whole_task_and_method_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"whole_task": TASK.format(change=""), "whole_method": GOOD}
    entries = {"task": {"mine": "whole_task:mine"}, "method": {"twice": "whole_method:twice"}}
    install(tmp_path, "acme", modules, entries)
    monkeypatch.syspath_prepend(tmp_path)
    assert registry.find("task", "mine").name == "mine"
    assert registry.find("method", "twice").name == "twice"


def test_a_built_in_name_stays_the_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shadow = GOOD.replace('"twice"', '"base"')
    install(tmp_path, "acme-shadow", {"shadow_module": shadow}, {"method": {"base": "shadow_module:twice"}})
    monkeypatch.syspath_prepend(tmp_path)
    assert type(registry.find("method", "base")).__module__ == "scorebench.methods.base"
    assert "shadow_module" not in sys.modules
    assert "acme-shadow" in capsys.readouterr().err


def test_a_name_of_two_packages_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("acme-one", "acme-two"):
        install(tmp_path, package, {"same_name": GOOD}, {"method": {"twice": "same_name:twice"}})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="acme-one and by acme-two"):
        registry.find("method", "twice")


def test_lists_go_on_behind_a_broken_package(tmp_path: Path) -> None:
    modules = {"listed": GOOD, "listed_broken": "import no_such_module"}
    entries = {"twice": "listed:twice", "broken": "listed_broken:method", "no-object": "listed broken"}
    install(tmp_path, "acme-lists", modules, {"method": entries})
    words = [sys.executable, "-m", "scorebench", "methods"]
    done = subprocess.run(words, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)}, check=True)
    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert {"base", "score", "twice"} <= set(listed)
    assert not {"broken", "no-object"} & set(listed)
    complaints = [line for line in done.stderr.splitlines() if "acme-lists" in line]
    assert len(complaints) == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("fault", ["load", "first_prompt"])
def test_a_task_that_breaks_down_in_a_run_is_one_sentence(fault: str, tmp_path: Path) -> None:
    change = f"    def {fault}(self, *given): raise KeyError('no such row')"
    source = f"import sys\nsys.path.append({str(Path(__file__).parents[2])!r})\n{TASK.format(change=change)}"
    install(tmp_path, "acme-runs", {"task_that_breaks": source}, {"task": {"mine": "task_that_breaks:mine"}})
    words = [sys.executable, "-m", "scorebench", "run", "--method", "base", "--task", "mine", "-q"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "acme-runs" in line
    assert "no such row" in line


def test_lists_import_nothing_heavy() -> None:
    code = (
        "import sys\nfrom scorebench.cli.data import methods, tasks\nmethods()\ntasks()\n"
        "print('HEAVY', [m for m in ('torch', 'transformers', 'pandas', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"
