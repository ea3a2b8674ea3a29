"""The command line as a user types it, in processes of its own."""

from __future__ import annotations

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors.numpy import load_file

from tests import tiny

SHORT = ("--set", "stage1.steps=6", "--set", "stage2.steps=6", "--set", "problems=4", "--set", "samples=4")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "scorebench", *words]


def scorebench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=folder, capture_output=True, text=True, timeout=300)


def rows(folder: Path, method: str) -> list[Any]:
    """The rows of a method's run without their times, sorted: what must not depend on how often it was killed."""
    (run,) = folder.glob(f"results/runs/*-{method}-*")
    read = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    for row in read:
        del row["seconds"], row["elapsed"]
        for attempt in row["attempts"]:
            del attempt["computed_tokens"]  # what was in the cache depends on what ran beside it
    return sorted(read, key=lambda row: (row["problem"], row["sample"]))


def weights(folder: Path) -> dict[str, Any]:
    (file,) = folder.glob("results/checkpoints/*/model/model.safetensors")
    return load_file(file)


def test_the_main_job(tmp_path: Path) -> None:
    done = scorebench("run", "--method", "base,self-refine,score", "--task", "math", *SHORT, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no evidence about language models" in done.stderr.splitlines()[0]
    for word in ("Acc@t1", "delta", "i->c", "c->i", "self-refine", "score", "embedded"):
        assert word in done.stdout
    assert len(rows(tmp_path, "base")) >= 500

    table = scorebench("compare", "--format", "json", "--baseline", "base", folder=tmp_path)
    read = json.loads(table.stdout)
    assert {row["method"] for row in read} == {"base", "self-refine", "score"}
    assert all(row["data"] == "embedded" for row in read)

    assert scorebench("leaderboard", "--csv", "leaderboard.csv", folder=tmp_path).returncode == 0
    with (tmp_path / "leaderboard.csv").open() as file:
        board = list(csv.DictReader(file))
    assert len(board) == 3
    names = "task data method model seed turns n acc_t1 acc_t2 delta i_to_c c_to_i truncated errors tokens seconds run"
    assert set(names.split()) <= set(board[0])

    repeated = next(tmp_path.glob("results/runs/*-base-*/run.yaml"))
    assert yaml.safe_load(repeated.read_text())["task"] == ["math"]
    again = scorebench("run", "--config", str(repeated), folder=tmp_path)
    assert again.returncode == 0
    assert len(list(tmp_path.glob("results/runs/*-base-*"))) == 1


def killed(words: list[str], folder: Path, when: Any) -> None:
    """Starts a command and kills it, and all of its children, as soon as `when` is true."""
    process = subprocess.Popen(
        command(*words), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not when() and process.poll() is None:
        time.sleep(0.02)
    alive = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert alive, "it had ended before it could be killed"


def steps_done(folder: Path, stage: str) -> int:
    logs = list(folder.glob(f"results/checkpoints/*/{stage}/steps.jsonl"))
    return len(logs[0].read_text().splitlines()) if logs else 0


def rows_done(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.glob("results/runs/*/episodes.jsonl"))


def test_kill_9_in_either_stage_and_in_evaluation_changes_nothing(tmp_path: Path) -> None:
    words = ["run", "--method", "score", "--task", "math", *SHORT]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    assert scorebench(*words, folder=whole).returncode == 0
    killed(words, cut, lambda: steps_done(cut, "stage1") >= 3)
    killed(words, cut, lambda: steps_done(cut, "stage2") >= 3)
    killed(words, cut, lambda: rows_done(cut) >= 200)
    assert 200 <= rows_done(cut) < len(rows(whole, "score"))
    assert scorebench(*words, folder=cut).returncode == 0
    assert rows(cut, "score") == rows(whole, "score")
    for name, tensor in weights(whole).items():
        assert (tensor == weights(cut)[name]).all(), name


def test_a_full_disk_in_training_is_one_sentence_and_the_same_command_goes_on(tmp_path: Path) -> None:
    """The kernel's limit on a file's size, 1 MB, stands for a disk that is full when the state is saved."""
    words = command("run", "--method", "score", "--task", "math", *SHORT, "--limit", "20")
    limited = ["bash", "-c", 'ulimit -f 1000; exec "$@"', "limited", *words]
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "make room" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("results/checkpoints/*/model"))
    assert not list(tmp_path.glob("results/**/.*part*"))
    assert scorebench(*words[3:], folder=tmp_path).returncode == 0


def bad_data(folder: Path) -> None:
    """A folder with a file as it should be, and folders that each lack something: the file, its end, an answer."""
    row = {"problem": "1+1?", "solution": "", "answer": "2", "subject": "Algebra", "level": 1, "unique_id": "a"}
    whole = gzip.compress((json.dumps(row) + "\n").encode() * 500)
    good, empty, cut, unanswered = (folder / name for name in ("good", "empty", "cut", "unanswered"))
    for made in (good, empty, cut, unanswered):
        made.mkdir()
    (cut / "math500.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    rows = [row | {"unique_id": str(i)} for i in range(500)]
    (good / "math500.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows[7]["answer"] = ""
    (unanswered / "math500.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "--method", "scre", "--task", "math"], "did you mean score?"),
        (["run", "--method", "base", "--task", "maths"], "did you mean math?"),
        (["run", "--method", "base"], "--task is missing"),
        (["run", "--method", "base", "--task", "math", "--model", "./nowhere", "--data", "good"], "./nowhere"),
        (["run", "--method", "base", "--task", "math", "--data", "./nowhere"], "nowhere"),
        (["run", "--method", "base", "--task", "math", "--data", "empty"], "math500.jsonl"),
        (["run", "--method", "base", "--task", "math", "--data", "cut"], "cut/math500.jsonl.gz"),
        (["run", "--method", "base", "--task", "math", "--data", "unanswered"], "line 8"),
        (["run", "--method", "score", "--task", "math", "--set", "stage2.bonsu=5"], "stage2.alpha"),
        (["run", "--method", "score", "--task", "math", "--set", "stage2.alpha=much"], "stage2"),
        (["run", "--method", "base", "--task", "math", "--set", "stage2.alpha=5"], "does not train"),
        (["run", "--method", "base", "--task", "math", "--temperature", "-1"], "temperature"),
        (["run", "--method", "base", "--task", "math", "--engine", "vlm"], "no engine 'vlm'"),
        (["run", "--method", "base", "--task", "math", "--device", "cuda"], "no GPU"),
        (["run", "--method", "base", "--task", "math", "--dtype", "float"], "no dtype"),
        (["run", "--method", "base", "--task", "math", "--device", "gpu"], "must be auto, cpu, cuda, cuda:1 or mps"),
        (["run", "--method", "base", "--task", "math", "--reading", "strictly"], "'loose' or 'strict'"),
        (["run", "--method", "base", "--task", "mbpp", "--reading", "strict"], "one way to read replies"),
        (["run", "--method", "base", "--task", "math", "--task-args", "difficulty=3"], "it takes none"),
        (["run", "--method", "base", "--task", "arithmetic"], "name a model with --model"),
        (["run", "--method", "base", "--task", "gsm8k"], "nothing for 'gsm8k'"),
        (["run", "--config", "none.yaml"], "none.yaml"),
        (["compare"], "There are no runs"),
        (["compare", "--format", "xml", "--out", "with-a-run"], "xml"),
        (["leaderboard", "--csv", "/proc/board.csv"], "There are no runs"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(tmp_path: Path, words: list[str], says: str) -> None:
    bad_data(tmp_path)
    done = scorebench(*words, folder=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    complaint = [line for line in done.stderr.splitlines() if line.startswith("scorebench: ")]
    assert len(complaint) == 1
    assert not list(tmp_path.glob("results/runs/*/episodes.jsonl"))


def test_help_needs_nothing_heavy(tmp_path: Path) -> None:
    heavy = "torch|transformers|pandas|matplotlib|sympy|datasets|openai|peft|numpy|scipy"
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom scorebench.cli.main import app\n"
        "assert CliRunner().invoke(app, ['run', '--help']).exit_code == 0\n"
        f"print([m for m in sys.modules if m in {heavy.split('|')}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == "[]"


def test_every_method_says_what_it_is_and_one_without_a_line_is_told_by_its_file(tmp_path: Path) -> None:
    listed = scorebench("methods", folder=tmp_path).stdout.splitlines()
    abouts = [line[18:] for line in listed]
    assert all(abouts)
    assert len(set(abouts)) == len(abouts) >= 16
    assert max(map(len, listed)) <= 100

    code = '"""Twice: answers two times.\n\nMore."""\nclass Twice:\n    name = "twice"\n    dialogue = print\n'
    code += "method = Twice()"
    (tmp_path / "twice.py").write_text(code)
    package = tmp_path / "twice-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: twice\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[scorebench.methods]\ntwice = twice:method\n")
    there = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command("methods"), cwd=tmp_path, capture_output=True, text=True, env=there)
    assert "twice             Twice: answers two times." in done.stdout.splitlines()


def test_a_complete_run_is_told_and_opens_no_model_and_fresh_plays_it_again(tmp_path: Path) -> None:
    words = ["run", "--method", "base,base", "--task", "math,math", "--limit", "20"]
    assert scorebench(*words, folder=tmp_path).returncode == 0
    (run,) = tmp_path.glob("results/runs/*")
    episodes = run / "episodes.jsonl"
    as_played = episodes.read_bytes()
    seen = "import sys; from scorebench.cli.main import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    again = subprocess.run([sys.executable, "-c", seen, *words], cwd=tmp_path, capture_output=True, text=True)
    assert again.stdout.splitlines()[-1] == "False", "what needs no model imports no torch"
    assert "20 of 20 dialogues already there" in again.stderr
    assert episodes.read_bytes() == as_played

    episodes.write_bytes(b"".join(as_played.splitlines(keepends=True)[:8]))
    done = scorebench(*words, folder=tmp_path)
    assert "8 of 20 dialogues already there" in done.stderr
    fresh = scorebench(*words, "--fresh", folder=tmp_path)
    assert "already there" not in fresh.stderr
    assert rows_done(tmp_path) == 20
    assert len((run / "episodes.jsonl.old").read_bytes().splitlines()) == 20
    assert "fresh" not in (run / "run.yaml").read_text()


def test_a_run_ends_with_its_folder_and_the_next_command(tmp_path: Path) -> None:
    done = scorebench("run", "--method", "base", "--task", "math", "--limit", "5", "--out", "my runs", folder=tmp_path)
    (run,) = tmp_path.glob("my runs/runs/*")
    folder, following = done.stderr.splitlines()[-2:]
    assert folder == f"The run is in my runs/runs/{run.name}"
    assert "scorebench compare --out 'my runs'" in following
    assert "scorebench view --out 'my runs'" in following
    assert scorebench("compare", "--out", "my runs", folder=tmp_path).returncode == 0


def test_the_record_of_a_run_says_how_code_is_confined_and_on_which_gpu(tmp_path: Path) -> None:
    from scorebench.grading.sandbox import pool

    assert scorebench("run", "--method", "base", "--task", "mbpp", "--limit", "1", folder=tmp_path).returncode == 0
    (record,) = tmp_path.glob("results/runs/*/run.json")
    about = json.loads(record.read_text())["about"]
    tier = pool.tier()
    assert about["sandbox"] == {
        "tier": tier.name,
        "mechanisms": list(tier.mechanisms),
        "missing": list(tier.missing),
    }
    code = "import json; from torch import cuda; "
    code += "print(json.dumps([cuda.get_device_name(number) for number in range(cuda.device_count())]))"
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert about["gpu"] == json.loads(seen.stdout)


def test_a_named_model_is_told_before_anything_slow_and_before_it_is_opened(tmp_path: Path) -> None:
    tiny.model().save_pretrained(tmp_path / "tiny")
    tiny.tokenizer().save_pretrained(tmp_path / "tiny")
    words = ["run", "--method", "base", "--task", "math", "--model", "./tiny", "--engine", "hf"]
    words += ["--data", "embedded", "--limit", "2", "--max-tokens", "4"]
    told = """
import sys

plain = sys.stderr.write
sys.stderr.write = lambda text: plain(text.replace("./tiny", f"./tiny torch={'torch' in sys.modules}"))
from scorebench.cli.main import main

main()
"""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", told, *words], cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[:2] == [
        "The model: ./tiny torch=False (engine hf).",
        "Opening ./tiny torch=True ...",
    ]


def test_a_damaged_run_is_named_and_the_others_are_compared(tmp_path: Path) -> None:
    assert scorebench("run", "--method", "base", "--task", "math", "--limit", "5", folder=tmp_path).returncode == 0
    (tmp_path / "results/runs/foreign").mkdir()
    (tmp_path / "results/runs/foreign/run.json").write_text('{"model": "of another program"}')
    done = scorebench("compare", folder=tmp_path)
    assert done.returncode == 0
    assert "foreign" in done.stderr
    assert "Traceback" not in done.stderr
    assert "base" in done.stdout


PARTS = ("start", "stage1", "stage2", "evaluation")


def stage_of(folder: Path) -> str:
    """Which part of a run of score is going on, after what its files say."""
    if rows_done(folder):
        return "evaluation"
    return next((stage for stage in ("stage2", "stage1") if steps_done(folder, stage)), "start")


@pytest.mark.slow
def test_15_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    """Five kills in each stage and in evaluation, at random moments: rows and weights are the undisturbed ones."""
    words = ["run", "--method", "score", "--task", "math", *SHORT]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    assert scorebench(*words, folder=whole).returncode == 0
    draw, met = random.Random(0), Counter[str]()
    for wanted in [*["stage1"] * 5, *["stage2"] * 5, *["evaluation"] * 5]:
        before = [steps_done(cut, "stage1"), steps_done(cut, "stage2"), rows_done(cut)]
        process = subprocess.Popen(
            command(*words), cwd=cut, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        while process.poll() is None:  # until it has done something, in the stage that is wanted or a later one
            now = [steps_done(cut, "stage1"), steps_done(cut, "stage2"), rows_done(cut)]
            if now != before and PARTS.index(stage_of(cut)) >= PARTS.index(wanted):
                break
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.4))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            met[stage_of(cut)] += 1
        process.wait()
    assert set(met) == {"stage1", "stage2", "evaluation"}, met
    assert met.total() >= 12, met
    assert scorebench(*words, folder=cut).returncode == 0
    assert rows(cut, "score") == rows(whole, "score")
    for name, tensor in weights(whole).items():
        assert (tensor == weights(cut)[name]).all(), name


def test_of_two_processes_at_one_run_one_plays_and_the_other_says_so(tmp_path: Path) -> None:
    words = ["run", "--method", "base", "--task", "math"]
    first = subprocess.Popen(command(*words), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not rows_done(tmp_path) and first.poll() is None:
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGSTOP)  # so that it is still at work, however busy the machine is
    second = scorebench(*words, folder=tmp_path)
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait(timeout=300) == 0
    assert second.returncode == 2
    assert "Another process is writing" in second.stderr.splitlines()[-1]
    read = rows(tmp_path, "base")
    assert len({(row["problem"], row["sample"]) for row in read}) == len(read) == rows_done(tmp_path)
