"""What a user installs: one package, with its tasks and methods inside, and all that runs offline."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from scorebench.api import registry

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (made,) = out.glob("*.whl")
    return zipfile.ZipFile(made).namelist()


def test_nothing_but_scorebench_lands_in_site_packages(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"scorebench"}


def test_tasks_methods_and_the_embedded_models_are_inside(wheel: list[str]) -> None:
    exploit = "grading/code/exploits/fork_bomb.py"
    checkpoints = ("math/model.safetensors", "code/model.safetensors", "code/mbpp_r.jsonl")
    models = [f"embedded/checkpoints/{name}" for name in checkpoints]
    for name in ("tasks/math.py", "methods/score.py", exploit, *models):
        assert f"scorebench/{name}" in wheel
    for name in ("paper.csv", "page.md.jinja"):
        assert f"scorebench/reproduction/{name}" in wheel
    assert not [name for name in wheel if "__pycache__" in name]


@pytest.mark.parametrize("kind", ["task", "method", "engine"])
def test_every_registered_name_opens_and_calls_itself_so(kind: registry.Kind) -> None:
    assert registry.names(kind)
    for name in registry.names(kind):
        found = registry.find(kind, name)
        assert kind == "engine" or found.name == name
    assert len(entry_points(group=f"scorebench.{kind}s")) == len(registry.names(kind))
