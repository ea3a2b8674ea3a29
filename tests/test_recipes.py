"""Each recipe says what it needs and what came of it, is taken by the command line, and trains and evaluates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scorebench.api import registry
from scorebench.api.config import changed
from scorebench.api.protocols import trains
from scorebench.api.types import Problem, Verdict
from scorebench.cli.main import app
from scorebench.evaluation.settings import Settings, settings_from
from scorebench.evaluation.tasks import task_of
from scorebench.methods.sft import GoldConfig
from scorebench.tasks.math import Math
from scorebench.training.sft import SFTConfig
from scorebench.training.tuning import tuning_from
from tests import tiny

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
NAMES = {
    *(f"smollm2-135m-arithmetic-{method}" for method in ("sft", "corrections", "score", "star-plus", "rl-multi-turn")),
    "qwen2.5-1.5b-math-score",
    "qwen2.5-1.5b-math-pag",
    "gemma-2-2b-math-three-turns",
}
HEADINGS = ("Hardware", "Time", "Memory", "Result")
each_recipe = pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.stem)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model, with a context that is long enough for three turns in bytes."""
    folder = tmp_path_factory.mktemp("model")
    made = tiny.model()
    made.config.max_position_embeddings = 4096
    made.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def recipe_settings(recipe: Path) -> Settings:
    """What the recipe says. Its model need not be there."""
    return settings_from({"model": "some/model"}, recipe)


def trained_method(settings: Settings) -> Any:
    (method,) = [method for name in settings.method if trains(method := registry.find("method", name))]
    return method


def whole_config(settings: Settings) -> tuple[Any, Any]:
    """The preset of the recipe's method, and the configuration that its training has."""
    method, task = trained_method(settings), task_of(settings.task[0], settings.task_args)
    preset = method.preset(task, embedded=False)
    return preset, changed(preset, tuning_from(settings.set)[1])


def small(config: Any) -> list[str]:
    """Assignments that leave one gradient step of each stage, or of each round, on a few dialogues."""
    if isinstance(config, GoldConfig):  # a solution has about a hundred bytes
        return ["steps=1", "epochs=none", "batch=2", "dialogues=4", "max_tokens=128"]
    if isinstance(config, SFTConfig):  # a quarter of the dialogues becomes right
        return [f"steps={config.rounds}", "epochs=none", "batch=2", f"dialogues={32 * config.rounds}", "max_tokens=6"]
    return [*(f"{name}.steps=1" for name in config.stages), "problems=2", "samples=2", "max_tokens=6"]


def half_right(self: Math, problem: Problem, reply: str) -> Verdict:
    """Verdicts that depend on the text alone. A random model is never right, and STaR needs attempts that are."""
    return Verdict("pass" if sum(map(ord, reply)) % 2 else "fail", answer=reply[:1], rule="made up")


def test_the_recipes_are_those_that_are_promised() -> None:
    assert {recipe.stem for recipe in RECIPES} == NAMES


@each_recipe
def test_the_header_says_what_it_needs_what_came_out_and_what_to_type(recipe: Path) -> None:
    header = [line for line in recipe.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    for heading in HEADINGS:
        assert [line for line in header if re.match(rf"# {heading}: \w", line)], heading
    commands = [line.removeprefix("#").strip() for line in header if line.startswith("#   ") and "scorebench" in line]
    assert f"scorebench run --config recipes/{recipe.name}" in commands
    for named in re.findall(r"recipes/(\S+)", "\n".join(header)):
        assert (ROOT / "recipes" / named).is_file(), named


@each_recipe
def test_every_setting_is_one_that_its_training_has(recipe: Path) -> None:
    settings = recipe_settings(recipe)
    _, config = whole_config(settings)
    assert config.steps > 0
    assert getattr(config, "temperature", 1.0) == 1.0
    longest = settings.max_tokens
    assert config.max_tokens == longest, "training and evaluation cut replies at the same length"
    for name, stage in getattr(config, "stages", {}).items():
        assert stage.turns <= settings.turns, name


def test_the_recipes_begin_where_their_warm_ups_are_put() -> None:
    """Each header has the commands that make the checkpoint from which the recipe begins, in their order."""
    import yaml

    for recipe in RECIPES:
        model = str(yaml.safe_load(recipe.read_text(encoding="utf-8"))["model"])
        text = recipe.read_text(encoding="utf-8").replace(" \\\n#      ", "")
        made = re.findall(r"scorebench train --config recipes/(\S+) --out (\S+)", text)
        made = [out for warm_up, out in made if warm_up != recipe.name]
        before = re.findall(r"scorebench train --config recipes/(\S+) --out", text.partition("scorebench run")[0])
        names = [f"smollm2-135m-arithmetic-{name}.yaml" for name in ("sft", "corrections")]
        if "checkpoints/" in model:
            assert model == f"./{made[len(before) - 1]}"
            assert before == names[: len(before)]
        else:
            assert not before


def test_the_recipes_on_arithmetic_have_one_budget() -> None:
    budgets = set()
    for name in ("score", "star-plus", "rl-multi-turn"):
        _, config = whole_config(recipe_settings(ROOT / "recipes" / f"smollm2-135m-arithmetic-{name}.yaml"))
        budgets.add((config.steps, config.replies))
    assert len(budgets) == 1


@pytest.mark.parametrize("name", ["qwen2.5-1.5b-math-score", "gemma-2-2b-math-three-turns"])
def test_the_paper_s_settings_are_the_preset_s(name: str) -> None:
    settings = recipe_settings(ROOT / "recipes" / f"{name}.yaml")
    preset, config = whole_config(settings)
    assert config == preset
    assert (settings.temperature, settings.samples, settings.split) == (0.0, 1, "test")


def test_pag_s_settings_are_those_that_it_reports() -> None:
    settings = recipe_settings(ROOT / "recipes" / "qwen2.5-1.5b-math-pag.yaml")
    _, config = whole_config(settings)
    first, second = config.stages.values()
    assert (config.problems * config.samples, config.samples) == (512, 4)
    assert (first.learning_rate, second.learning_rate) == (1e-6, 1e-6)
    assert (first.kl, second.kl, second.alpha) == ((0.1, 0.0), (0.0, 0.0), 1.0)
    assert (settings.samples, settings.temperature, settings.top_p) == (32, 0.6, 0.95)


@each_recipe
def test_a_small_run_of_it_trains_and_evaluates(
    recipe: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recipe as it is, but with a tiny model, embedded problems, one step, few dialogues and short replies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Math, "grade", half_right)
    settings = recipe_settings(recipe)
    _, config = whole_config(settings)
    assignments = [*settings.set, *small(config), "evaluate_problems=2"]
    words = ["run", "--config", str(recipe), "--model", str(model), "--dtype", "float32"]
    words += ["--limit", "1", "--samples", "1", "--max-tokens", "4", "--batch-size", "32"]
    words += [] if settings.task == ["arithmetic"] else ["--data", "embedded"]
    app([*words, *(word for a in assignments for word in ("--set", a))], standalone_mode=False)

    (record,) = tmp_path.glob("results/checkpoints/*/training.json")
    spent = json.loads(record.read_text(encoding="utf-8"))["spent"]
    assert spent["gradient_steps"] == (config.rounds if isinstance(config, SFTConfig) else len(config.stages))
    assert len(list(tmp_path.glob("results/runs/*/episodes.jsonl"))) == len(settings.method)
    table = capsys.readouterr().out
    assert all(re.search(rf"\b{re.escape(name)}", table) for name in settings.method)
