"""Flags that every command has, flags that show what would be done, and sentences on values that are wrong."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from scorebench.api import verbosity
from scorebench.api.errors import UserError
from scorebench.cli.main import COMMANDS, app
from scorebench.cli.run import run
from scorebench.evaluation.preview import arguments_of, dry_run, settings_of
from scorebench.evaluation.settings import Settings, settings_from

FEW = ["stage1.steps=3", "problems=2"]


def scorebench(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scorebench", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def help_of(command: str, width: int = 200) -> str:
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, [command, "-h"], env={"COLUMNS": str(width), "TERMINAL_WIDTH": str(width)})
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compare", "results"], "Too many words: 'results'; what a command works on is named with flags. See `"),
        (["run", "math", "base"], "Too many words: 'math base'"),
        (["run", "--methd", "score"], "No such option: --methd (Possible options: --method"),
        (["rum"], "No such command 'rum'. Did you mean 'run'? See `"),
        (["power"], "Missing option '--problems'"),
        (["grade", "--task", "math"], "Missing argument 'file'"),
        (["run", "--set"], "'--set' requires an argument"),
        (["run", "--limit", "few", "--method", "base", "--task", "math"], "Invalid value for '--limit'"),
        (["--vers"], "No such option: --vers"),
    ],
)
def test_words_that_make_no_command_are_one_sentence_and_status_2(tmp_path: Path, words: list[str], says: str) -> None:
    done = scorebench(*words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("scorebench: ")
    assert says in line
    assert re.search(r"See `(python -m )?scorebench( \w+)? -h`\.$", line)


def test_no_words_are_answered_with_the_help(tmp_path: Path) -> None:
    done = scorebench(folder=tmp_path)
    assert done.returncode == 2
    assert "compare" in done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_quiet_and_verbose_in_short(command: str) -> None:
    shown = help_of(command)
    for flag in ("-h", "-q", "-v"):
        assert re.search(rf"{flag}\b", shown), flag


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    from typer.testing import CliRunner

    assert CliRunner().invoke(app, ["--version"]).output.split() == ["scorebench", version("scorebench")]


def test_the_flags_of_run_are_the_fields_of_settings() -> None:
    import inspect

    flags = {name.rstrip("_") for name in inspect.signature(run).parameters}
    assert flags == {*Settings.model_fields, "config"}


def test_the_help_of_every_flag_names_its_default() -> None:
    import inspect

    for name, flag in inspect.signature(run, eval_str=True).parameters.items():
        field = Settings.model_fields.get(name.rstrip("_"))
        option = next(part for part in flag.annotation.__metadata__ if isinstance(part, typer.models.OptionInfo))
        text = str(option.help)
        if field and not field.is_required() and field.default not in (None, [], {}, False):
            value = field.default
            written = {f"{value:g}"} if isinstance(value, float | int) else {str(value), f"./{value}"}
            assert re.search(rf"(?i)default[: ]+({'|'.join(map(re.escape, written))})|\w+ \(default\)", text), name


@pytest.mark.parametrize(
    ("command", "default"),
    [
        ("run", "hub; embedded"),
        ("train", "hub; embedded"),
        ("scaling", "hub; embedded"),
        ("grade", "hub"),
        ("validate", "embedded"),
        ("data", "hub"),
        ("regrade", "where the run found it"),
        ("view", "where runs found it"),
    ],
)
def test_the_help_of_data_says_what_it_takes_and_its_default(command: str, default: str) -> None:
    shown = " ".join(re.sub(r"[│|]", " ", help_of(command)).split())
    text = shown[shown.index("--data") :]
    assert re.match(rf"--data \S+ Folder with .*?(, or hub.*?)?\. Default: {default}", text)
    if "hub" in default or default == "embedded":
        assert ", or hub" in text.partition("Default")[0]


def test_a_mistyped_flag_is_told_in_two_seconds_and_so_is_a_complete_run(tmp_path: Path) -> None:
    """Of processor time, which a busy machine does not change."""
    words = ("run", "--method", "base", "--task", "math", "--limit", "4")
    assert scorebench(*words, folder=tmp_path).returncode == 0
    for more, code, says in ((("--temprature", "0.5"), 2, "--temperature"), ((), 0, "4 of 4 dialogues already there")):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = scorebench(*words, *more, folder=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == code, done.stderr
        assert says in done.stderr
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2


@pytest.mark.parametrize(
    ("typed", "place", "wanted"),
    [("scorebench co", "1", "compare"), ("scorebench run --temp", "2", "--temperature")],
)
def test_a_shell_completes_commands_and_flags(typed: str, place: str, wanted: str, tmp_path: Path) -> None:
    script = str(Path(sys.executable).with_name("scorebench"))
    shown = subprocess.run(
        ["bash", "-c", '"$0" --show-completion; exit $?', script],  # typer looks for a shell among the parents
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    assert "_SCOREBENCH_COMPLETE=complete_" in shown.stdout
    asked = {**os.environ, "_SCOREBENCH_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": place}
    done = subprocess.run([script], cwd=tmp_path, capture_output=True, text=True, env=asked, timeout=60)
    assert wanted in done.stdout.split()


def test_quiet_says_nothing_beside_the_result(tmp_path: Path) -> None:
    words = ("run", "--method", "base", "--task", "math", "--limit", "2")
    done = scorebench(*words, "-q", folder=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "base" in done.stdout


def test_verbose_shows_where_a_mistake_was_found_and_plain_does_not(tmp_path: Path) -> None:
    words = ("run", "--method", "bas", "--task", "math")
    assert "Traceback" in scorebench(*words, "-v", folder=tmp_path).stderr
    plain = scorebench(*words, folder=tmp_path)
    assert plain.stderr.splitlines() == ["scorebench: There is no method 'bas'; did you mean base?"]
    assert plain.returncode == 2


def test_levels_are_set_before_the_command_runs() -> None:
    from typer.testing import CliRunner

    try:
        CliRunner().invoke(app, ["tasks", "-q"])
        assert verbosity.quiet
    finally:
        verbosity.quiet = False


def test_a_dry_run_shows_prompts_and_training_and_writes_nothing(tmp_path: Path) -> None:
    words = ("run", "--method", "base,score", "--task", "math", "--limit", "3", "--samples", "2", "--dry-run")
    done = scorebench(*words, *(w for s in FEW for w in ("--set", s)), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for part in (
        "base on math: 3 of 1,200 test problems (embedded), 2 dialogues",
        "You are a math expert",
        "stage1.steps=3",
    ):
        assert part in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_dry_run_shows_the_prompt_that_is_played(tmp_path: Path) -> None:
    flags = {"method": "base", "task": "mbpp", "limit": 1, "out": tmp_path}
    from scorebench.evaluation.session import Session

    ((_, episodes),) = Session(settings_from(flags, None)).run()
    first = episodes[0].transcript[0]["content"]
    shown = dry_run(settings_from(flags, None))
    for line in first.splitlines():
        assert line in shown


def test_a_dry_run_shows_how_the_weights_are_trained() -> None:
    given = {"method": "score", "task": "math", "limit": 1}
    assert "lora" not in dry_run(settings_from(given, None))
    assert "lora.rank=16" in dry_run(settings_from({**given, "set_": ["lora.rank=16", "stage1.steps=3"]}, None))


@pytest.mark.parametrize(("methods", "kept"), [("base", False), ("base,score", True), (["self-refine"], False)])
def test_a_files_set_is_left_out_for_methods_that_do_not_train(
    tmp_path: Path, methods: str | list[str], kept: bool
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("method: score\ntask: math\nset: [stage1.steps=3]\n")
    assert settings_from({"method": methods}, recipe).set == (["stage1.steps=3"] if kept else [])
    with pytest.raises(UserError, match="base does not train"):
        dry_run(settings_from({"method": "base", "set_": ["stage1.steps=3"]}, recipe))


def test_listed_settings_are_those_that_set_takes(tmp_path: Path) -> None:
    from scorebench.evaluation.preview import _configuration
    from scorebench.methods.score import score
    from scorebench.tasks.math import task

    listed = dict(line.strip().split("=", 1) for line in settings_of("score", "math", None).splitlines()[1:])
    assert listed["stage2.alpha"] == "10.0"
    assert "lora.rank" in listed
    given = Settings(
        method=["score"], task=["math"], set=[f"{name}={value}" for name, value in listed.items() if value]
    )
    plain = Settings(method=["score"], task=["math"])
    assert _configuration(score, task, given) == _configuration(score, task, plain)
    with pytest.raises(UserError, match="base does not train"):
        settings_of("base", None, None)


@pytest.mark.parametrize(
    ("filed", "given", "wanted"),
    [
        (
            ["lora.rank=16", "stage1.steps=40"],
            ["stage1.steps=5"],
            ["lora.rank=16", "stage1.steps=40", "stage1.steps=5"],
        ),
        ("lora.rank=16", ["stage1.steps=5"], ["lora.rank=16", "stage1.steps=5"]),
        (["lora.rank=16"], [], ["lora.rank=16"]),
        (None, ["stage1.steps=5"], ["stage1.steps=5"]),
    ],
)
def test_set_on_the_command_line_adds_to_that_of_the_file(
    filed: Any, given: list[str], wanted: list[str], tmp_path: Path
) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps({"method": "score", "task": "math", **({"set": filed} if filed else {})}))
    assert settings_from({"set_": given}, file).set == wanted


def test_a_set_of_the_file_that_is_no_list_is_a_mistake_whatever_is_given(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(json.dumps({"method": "score", "task": "math", "set": {"stage1.steps": 5}}))
    with pytest.raises(UserError, match="set must be a valid list"):
        settings_from({"set_": ["stage1.steps=6"]}, file)


def test_model_args_help_names_what_an_engine_takes() -> None:
    shown = arguments_of("openai")
    for name in ("pretrained", "dtype", "base_url", "timeout"):
        assert name in shown
    assert "tensor_parallel_size" not in shown
    assert "tensor_parallel_size" in arguments_of(None)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"batch_size": "many"}, "batch-size must be 'auto' or a valid integer (given: 'many')"),
        ({"limit": 0}, "limit must be greater than or equal to 1 (given: 0)"),
        ({"split": "train"}, "split must be 'test' or 'validation'"),
        ({"temprature": 0.5}, "there is no temprature; did you mean temperature?"),
        ({"max-token": 5}, "there is no max-token; did you mean max-tokens?"),
        ({"colour": "red"}, "there is no colour; there are method"),
        ({"model": "./no-such-folder"}, "There is no folder ./no-such-folder"),
        ({"model": "/no/such/folder"}, "There is no folder /no/such/folder"),
        ({"model": "a/b/c"}, "There is no folder a/b/c"),
        ({"device": "gpu"}, "device must be auto, cpu, cuda, cuda:1 or mps (given: 'gpu')"),
        ({"method": None, "methd": "base"}, "there is no methd; did you mean method?"),
    ],
)
def test_a_wrong_value_in_a_file_of_flags_is_one_plain_sentence(
    tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    file = tmp_path / "run.yaml"
    flags = {"method": "base", "task": "math", **given}
    file.write_text(json.dumps({name: value for name, value in flags.items() if value is not None}))
    with pytest.raises(UserError) as complaint:
        settings_from({}, file)
    assert says in str(complaint.value)
    assert "\n" not in str(complaint.value)


@pytest.mark.parametrize(
    ("data", "kind"), [(None, "embedded"), ("embedded", "embedded"), ("hub", "hub"), ("a", "folder")]
)
def test_data_names_the_hub_the_embedded_world_or_a_folder(data: str | None, kind: str) -> None:
    from scorebench.evaluation.session import Session

    assert Session(settings_from({"method": "base", "task": "math", "data": data}, None)).source.kind == kind


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("stage2.alpha=abc", "In --set, stage2.alpha must be a valid number (given: 'abc')"),
        ("stage2.bonus=5", "there is no 'stage2.bonus'; it is called stage2.alpha now"),
        ("stage2.bonsu=5", "did you mean stage2.alpha?"),
        ("stage2.step=5", "did you mean stage2.steps?"),
        ("lora.rnk=4", "did you mean lora.rank?"),
        ("sample=4", "did you mean samples?"),
        ("stage1.steps=-1", "stage1.steps must be"),
        ("stage2.alpha", "has no '='"),
    ],
)
def test_a_wrong_setting_is_one_plain_sentence(assignment: str, says: str) -> None:
    with pytest.raises(UserError) as complaint:
        dry_run(settings_from({"method": "score", "task": "math", "set_": [assignment]}, None))
    assert says in str(complaint.value)


def test_an_alternative_of_a_stage_does_not_hide_the_fault() -> None:
    settings = settings_from(
        {"method": "score-star-stage2", "task": "math", "set_": ["stage2.learning_rate=abc"]}, None
    )
    with pytest.raises(UserError, match=r"stage2\.learning_rate must be a valid number \(given: 'abc'\)"):
        dry_run(settings)


def test_the_folder_of_a_training_points_to_its_model(tmp_path: Path) -> None:
    training = tmp_path / "math-score"
    training.mkdir()
    (training / "training.json").write_text("{}")
    flags = {"method": "base", "task": "math", "model": str(training)}
    with pytest.raises(UserError, match="not complete"):
        settings_from(flags, None)
    (training / "model").mkdir()
    (training / "model" / "config.json").write_text("{}")
    with pytest.raises(UserError, match=f"--model {training / 'model'}"):
        settings_from(flags, None)
    assert settings_from({**flags, "model": str(training / "model")}, None).model == str(training / "model")
