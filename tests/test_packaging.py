"""What a user installs: one package, with its tasks and methods inside, and all that runs offline.

.ci/package installs it into an environment of its own, and runs it there.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import scorebench
from scorebench.api import registry

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an sdist and of the wheel that was built from it."""
    out = tmp_path_factory.mktemp("built")
    words = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), "."]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> zipfile.ZipFile:
    (made,) = built.glob("*.whl")
    return zipfile.ZipFile(made)


def tracked(*paths: str) -> set[str]:
    """The files of the checkout under some paths, links to folders not followed."""
    return {
        str(file.relative_to(ROOT))
        for path in paths
        for file in (ROOT / path).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_nothing_but_scorebench_lands_in_site_packages(wheel: zipfile.ZipFile) -> None:
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"scorebench"}


def test_the_wheel_has_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    exploits = {name.replace("tests/", "scorebench/grading/code/", 1) for name in tracked("tests/exploits")}
    expected = tracked("scorebench") | {f"scorebench/{name}" for name in tracked("methods", "tasks")} | exploits
    packed = {name for name in wheel.namelist() if name.startswith("scorebench/")}
    assert packed == expected
    for name in (
        "embedded/checkpoints/math/model.safetensors",
        "reproduction/paper.csv",
        "report/published.csv",
        "methods/score.py",
        "py.typed",
    ):
        assert f"scorebench/{name}" in packed


def test_the_sdist_has_the_tests_the_pages_the_examples_and_the_recipes(built: Path) -> None:
    (made,) = built.glob("*.tar.gz")
    with tarfile.open(made) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    pages = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "pyproject.toml"}
    assert names >= pages | tracked("docs", "examples", "recipes", "benchmarks", "tests/exploits")


def test_the_metadata_says_who_where_and_which_extras(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = wheel.read(name).decode()
    for line in (
        "Author:",
        "Project-URL:",
        "Classifier: Programming Language :: Python :: 3.11",
        "License-Expression:",
    ):
        assert f"\n{line}" in metadata, line
    for extra in ("vllm", "tensorboard", "trackio", "wandb", "gguf", "inspect", "browser", "peers"):
        assert f"\nProvides-Extra: {extra}\n" in metadata


def test_the_citation_names_the_version() -> None:
    import yaml

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == scorebench.__version__


@pytest.mark.parametrize("kind", ["task", "method", "engine"])
def test_every_registered_name_opens_and_calls_itself_so(kind: registry.Kind) -> None:
    assert registry.names(kind)
    for name in registry.names(kind):
        found = registry.find(kind, name)
        assert kind == "engine" or found.name == name
    assert len(entry_points(group=f"scorebench.{kind}s")) == len(registry.names(kind))
