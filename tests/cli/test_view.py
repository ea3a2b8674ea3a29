"""`scorebench view` and `plots` as a user types them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.page.made import episode, store
from tests.signals import heed_ctrl_c

MISTAKES = [
    (["plots"], "There are no runs"),
    (["view"], "There are no runs"),
    (["view", "--serve"], "There are no runs"),
    (["view", "--to", "."], "is a folder"),
    (["view", "--to", "file/page.html"], "name another place with --to"),
]


def scorebench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "scorebench", *words)
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize(("words", "says"), MISTAKES)
def test_a_mistake_is_one_sentence_and_status_2(tmp_path: Path, words: list[str], says: str) -> None:
    (tmp_path / "file").touch()
    done = scorebench(*words, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len([line for line in done.stderr.splitlines() if line.startswith("scorebench: ")]) == 1


def test_plots_and_the_page_of_runs_that_were_just_made(tmp_path: Path) -> None:
    assert scorebench("run", "--method", "base", "--task", "math", "--limit", "8", folder=tmp_path).returncode == 0
    done = scorebench("plots", folder=tmp_path)
    assert done.stdout == "3 plots, as PNG and SVG, in results/plots\n", done.stderr
    names = {file.name for file in (tmp_path / "results" / "plots").iterdir()}
    plain = ("accuracy", "flips", "edits")
    assert names == {f"{name}-math-embedded-embedded-math.{kind}" for name in plain for kind in ("png", "svg")}

    done = scorebench("view", folder=tmp_path)
    assert done.stdout == "results/view.html\n", done.stderr
    text = (tmp_path / "results" / "view.html").read_text()
    assert "no evidence" in text
    assert text.count('class="packed"') == 2
    few = scorebench("view", "--to", "new/page.html", "--transcripts", "0", folder=tmp_path)
    assert few.returncode == 0, few.stderr
    assert len((tmp_path / "new" / "page.html").read_text()) < len(text)


def test_bad_mathtext_and_a_damaged_run_end_neither_plots_nor_the_page(tmp_path: Path) -> None:
    names = ("$\\frac{1}{$", "a_{b^{$x", "\\undefined $$ \ud800 \x1b[31m\n")
    for name in names:
        store(tmp_path / "results", [episode("p", "01")], method=name, model=names[0])
    broken = store(tmp_path / "results", [episode("p", "01")], method="broken")
    (broken / "run.json").write_text("{")
    for command in ("plots", "view"):
        done = scorebench(command, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"scorebench: {broken.name} is left out" in done.stderr
        assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "results" / "plots").glob("*.svg"))) == 3
    svg = next((tmp_path / "results" / "plots").glob("flips*.svg")).read_text()
    assert "\\frac{1}{$" in svg, "the name stands there letter by letter"


def test_a_folder_is_served_until_ctrl_c(tmp_path: Path) -> None:
    store(tmp_path / "results", [episode("p", "01")])
    words = [sys.executable, "-m", "scorebench", "view", "--serve", "--port", "0"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed_ctrl_c) as serving:
        assert serving.stdout is not None
        try:
            address = serving.stdout.readline().split()[0]
            assert address.startswith("http://127.0.0.1:")
            with urllib.request.urlopen(address, timeout=120) as answer:
                assert b"scorebench" in answer.read()
            os.kill(serving.pid, signal.SIGINT)
            said, complained = serving.communicate(timeout=120)
        finally:
            serving.kill()
    assert serving.returncode == 0
    assert "Stopped." in said
    assert "Traceback" not in complained
