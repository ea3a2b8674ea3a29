"""The page says what the rows say, names what is missing, and everything that it points to lies beside it."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from scorebench.report.scaling_curves import Curve
from scorebench.report.summary import RunSummary
from scorebench.reproduction import paper
from scorebench.reproduction.claims import NAMES
from scorebench.reproduction.page import TaskResult, short_table, write_page
from tests.made_episodes import run_of
from tests.report.test_rows import made
from tests.reproduction.test_claims import ALL, as_printed, curve_of

TRIALS = (
    "method,task,value,acc_t1,acc_t2,delta,chosen\nscore,math,0.5,0.5,0.6,0.1,false\nscore,math,1,0.5,0.7,0.2,true\n"
)


def runs(task: str, gaining: bool = False) -> list[RunSummary]:
    """Two seeds of every method: with the paper's shares, or all the same and gaining."""
    return [
        made(
            name,
            seed,
            run_of(400, 200, 40, 2) if gaining else as_printed(name, seed),
            task={"name": task, "version": "1"},
        )
        for name in ALL
        for seed in range(2)
    ]


def curve(second: float, task: str = "math") -> Curve:
    return Curve(made("score", task={"name": task, "version": "1"}).identity, curve_of(second))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("results") / "embedded"
    to.mkdir()
    (to / "trials.csv").write_text(TRIALS)
    results = [
        TaskResult("math", runs("math"), [curve(1.0)]),
        TaskResult("mbpp", runs("mbpp", gaining=True), missing=["star+ on mbpp, seed 2"]),
    ]
    assert write_page(to, results, "scorebench reproduce --tasks math,mbpp", None) == to / "README.md"
    return to


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_each_claim_has_its_verdict_for_each_task(folder: Path) -> None:
    page = (folder / "README.md").read_text()
    own = [(folder / f"{task}.md").read_text() for task in ("math", "mbpp")]
    table = [cells(line) for line in page.splitlines() if re.match(r"\| \d+ \|", line)]
    assert [row[0] for row in table] == [str(number) for number in range(1, 11)]
    assert {row[2] for row in table} == {"came out"}
    assert [row[3] for row in table] == ["did not come out"] * 9 + ["cannot be judged"]
    for row in table:
        for outcome, text in zip(row[2:], own, strict=True):
            assert f"**{row[1]}: {outcome}.**" in text
    assert "Rows are missing: pool of score" in own[1]


def test_measured_figures_stand_beside_the_papers(folder: Path) -> None:
    math, mbpp = ((folder / f"{task}.md").read_text() for task in ("math", "mbpp"))
    score = next(cells(line) for line in math.splitlines() if line.startswith("| score | 2 |"))
    assert score[2::2] == ["60.0 ± 0.0", "64.4 ± 0.0", "+4.4 ± 0.0", "5.8 ± 0.0", "1.4 ± 0.0"]
    assert score[3::2] == ["60.0", "64.4", "+4.4", "5.8", "1.4"]
    theirs = next(cells(line) for line in mbpp.splitlines() if line.startswith("| score | 2 |"))
    assert "| score | 2 | 60.0 | 64.4 | +4.4 | 5.8 | 1.4 |" in (folder / "README.md").read_text()
    assert theirs[3::2] == [""] * 5, "the paper has no such table of MBPP"
    assert "Gemini 1.5 Flash on MATH500" in math
    assert paper.figures("mbpp") == {}


def test_what_is_missing_is_named_and_the_settings_trials_told(folder: Path) -> None:
    page, own = ((folder / name).read_text() for name in ("README.md", "mbpp.md"))
    assert "Missing, because the run failed or was not asked for: star+ on mbpp, seed 2." in own
    assert "    scorebench reproduce --tasks math,mbpp\n" in own
    assert "| math | score | 1 | 50.0 | 70.0 | +20.0 | taken |" in page
    assert "A trial" not in own


def test_all_that_the_page_points_to_is_there(folder: Path) -> None:
    pages = "".join((folder / name).read_text() for name in ("README.md", "math.md", "mbpp.md"))
    links = set(re.findall(r"\]\(([^)]+)\)", pages))
    assert {"math.md", "leaderboard.csv", "claims.csv", "scaling.csv", "trials.csv", "plots/mbpp-flips.png"} <= links
    for link in links - {"../../scorebench/embedded/SMALL-WORLD.md"}:
        assert (folder / link).is_file(), link
    for plot in folder.glob("plots/*.png"):
        assert plot.with_suffix(".svg").is_file()
    assert (Path(paper.__file__).parents[1] / "embedded" / "SMALL-WORLD.md").is_file()


def test_every_run_is_on_the_leaderboard(folder: Path) -> None:
    with (folder / "leaderboard.csv").open() as file:
        board = list(csv.DictReader(file))
    assert len(board) == 2 * 2 * len(ALL)
    assert {row["task"] for row in board} == {"math", "mbpp"}


def test_a_trial_of_a_few_problems_says_so(tmp_path: Path) -> None:
    page = write_page(tmp_path, [TaskResult("math", [made("base")])], "scorebench reproduce --limit 100", 100)
    first, own = page.read_text(), page.with_name("math.md").read_text()
    assert "only the first 100 problems" in own
    assert "No trials are recorded" in first
    assert first.count("cannot be judged") == own.count("cannot be judged") == 9


def test_what_was_measured_of_other_tasks_is_kept(tmp_path: Path) -> None:
    both = [TaskResult(task, runs(task), [curve(1.0, task)]) for task in ("math", "mbpp")]
    write_page(tmp_path / "at once", both, "scorebench reproduce", None)
    for result in reversed(both):
        write_page(tmp_path / "one by one", [result], "scorebench reproduce", None)
    for file in ("README.md", "math.md", "mbpp.md", "leaderboard.csv", "claims.csv", "scaling.csv"):
        one, other = ((tmp_path / folder / file).read_text() for folder in ("at once", "one by one"))
        assert one == other, file


def test_a_changed_setting_has_a_table_of_its_own(tmp_path: Path) -> None:
    changed = made("star+", 0, training={"name": "x", "changed": {"plus_ratio": 1}})
    page = write_page(tmp_path, [TaskResult("math", runs("math"), variants=[changed])], "scorebench reproduce", None)
    before, after = page.with_name("math.md").read_text().split("## One setting changed")
    assert "plus_ratio=1" in after
    assert "plus_ratio" not in before


def test_the_spread_of_methods_stands_beside_that_of_seeds() -> None:
    """Two methods of two seeds: 60 and 62 % right at turn 2, and 70 and 72 %."""
    rights = {("star", 0): 60, ("star", 1): 62, ("score", 0): 70, ("score", 1): 72}
    result = TaskResult("math", [made(name, seed, run_of(100, 50, n - 50, 0)) for (name, seed), n in rights.items()])
    assert "lie 10.0 points of Acc@t2 apart" in result.telling_apart()
    assert f"That is {10 / 2**0.5:.1f} times the standard deviation" in result.telling_apart()
    assert f"of one method: {2**0.5:.1f} points" in result.telling_apart()
    said = result.first_attempts()
    assert said.startswith(
        "SCoRe's Acc@t1 is 0.0 points below that of the best trained method there (star). SCoRe rewards"
    )


def test_the_methods_whose_seeds_differ_most_are_named() -> None:
    """Squares of the deviations: 2 for score, 8 for star+, 18 for score-offline, 0 for the others."""
    rights = {"star": (60, 60), "pair-sft": (70, 70), "score": (80, 82), "star+": (70, 74), "score-offline": (60, 66)}
    seeds = [(name, seed, n) for name, pair in rights.items() for seed, n in enumerate(pair)]
    result = TaskResult("math", [made(name, seed, run_of(100, 50, n - 50, 0)) for name, seed, n in seeds])
    assert result.telling_apart().endswith(
        "100 % of this variance comes from three methods: score-offline (4.2), star+ (2.8), score (1.4)."
    )


def test_one_seed_has_no_spread() -> None:
    assert TaskResult("math", [made("base")]).telling_apart() == ""


def test_a_mean_half_way_between_two_figures_is_rounded_up_from_six_decimals_too() -> None:
    """0.7645 exactly; the mean of what the file has of it is 0.7644998."""
    seeds = [1016, 988, 913, 850, 820]
    rows = [
        {"task": "math", "method": "score", "settings": "", **dict.fromkeys(NAMES, f"{k / 1200:.6f}")} for k in seeds
    ]
    assert sum(seeds) / 6000 == 0.7645
    assert sum(float(row["acc_t2"]) for row in rows) / 5 < 0.7645
    assert "| score | 5 | 76.5 | 76.5 | +76.5 |" in short_table(rows, "math")
