"""Tables for people: percent, intervals, labels, marks, and 80 columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import scorebench
from scorebench.api.percent import percent
from scorebench.api.types import Attempt, Episode, Reply, Verdict
from scorebench.report.compare import Format, compare
from tests.made_episodes import episode, run_of
from tests.report.test_rows import UNTRAINED, made

SOURCE = Path(scorebench.__file__).parent


@pytest.mark.parametrize(
    ("fraction", "signed", "text"),
    [
        (0.0005, False, "0.1"),  # half-even and binary rounding both give 0.0 or 0.1 by luck
        (0.0015, False, "0.2"),
        (0.0025, False, "0.3"),  # half-even would give 0.2
        (-0.0005, True, "-0.1"),
        (0.00049, True, "0.0"),
        (-0.0001, True, "0.0"),
        (0.044, True, "+4.4"),
        (-0.112, True, "-11.2"),
        (0.1 + 0.2, False, "30.0"),
        (1.0, False, "100.0"),
        (float("nan"), True, "-"),
    ],
)
def test_percent_rounds_as_people_do(fraction: float, signed: bool, text: str) -> None:
    assert percent(fraction, signed) == text


@given(count=st.integers(0, 2000), n=st.integers(1, 2000))
def test_percent_of_counts_is_exact(count: int, n: int) -> None:
    """Against integer arithmetic: floor(1000 count / n + 1/2) tenths."""
    count = min(count, n)
    tenths = (2000 * count + n) // (2 * n)
    assert percent(count / n) == f"{tenths // 10}.{tenths % 10}"


def test_everything_rounds_by_the_same_rule() -> None:
    """A format of its own rounds 1.25 to 1.2, where the tables say 1.3."""
    own = re.compile(r"100 \* [^{}]*:[^{}]*f\}")
    files = list(SOURCE.rglob("*.py"))
    assert len(files) > 20
    assert [f"{f.name}: {m}" for f in files for m in own.findall(f.read_text(encoding="utf-8")) if ".0f" not in m] == []


def test_percent_and_signs_and_intervals() -> None:
    text = compare([made("score", 0, run_of(500, 300, 29, 7))])
    assert "60.0" in text
    assert "64.4" in text
    assert "+4.4" in text
    assert "+2.2, +7.0" in text
    assert "0.7, 2.9" in text


def test_embedded_stands_in_every_row_and_data_never_mix() -> None:
    runs = [made("base"), made("score"), made("base", data="hub"), made("base", task={"name": "mbpp", "version": "1"})]
    text = compare(runs, "md", baseline="base")
    tables = [block for block in text.split("### ")[1:]]
    for block in tables:
        title, *lines = block.splitlines()
        rows = [line for line in lines if line.startswith("|")][2:]
        label = "hub" if "data hub" in title else "embedded"
        assert rows
        assert all(label in row for row in rows), block
    titles = [block.splitlines()[0] for block in tables]
    assert sum("self-correction" in title for title in titles) == 3
    assert all("embedded problems, not the benchmark" in title or "data hub" in title for title in titles)


def test_the_printed_table_says_how_answers_are_stated_and_what_is_an_echo() -> None:
    """Four episodes: attempt 1 is stated, loose, none and stated, attempt 2 is always stated; two attempts echo."""
    found: Sequence[tuple[Literal["stated", "loose", "none"], str]] = (
        ("stated", "1"),
        ("loose", "0"),
        ("none", "0"),
        ("stated", "0"),
    )
    episodes = [
        Episode(
            str(number),
            0,
            (
                Attempt(Reply("a"), Verdict("pass" if first == "1" else "fail", "a", reading=word, echo=number == 0)),
                Attempt(Reply("b"), Verdict("fail", "b", reading="stated", echo=number == 3)),
            ),
        )
        for number, (word, first) in enumerate(found)
    ]
    text = compare([made("base", 0, episodes)], "md")
    (block,) = (block for block in text.split("### ")[1:] if "how answers are stated" in block.splitlines()[0])
    head, _, row = [line for line in block.splitlines() if line.startswith("|")][:3]
    columns, cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in (head, row))
    named = dict(zip(columns, cells, strict=True))
    shares = ("t1 stated", "t1 loose", "t1 none", "t2 stated", "t2 loose", "t2 none")
    assert [named[column] for column in shares] == ["50.0", "25.0", "25.0", "100.0", "0.0", "0.0"]
    assert (named["echo"], named["echo, passed"]) == ("2", "1")
    assert "echo: attempts whose answer is a formula of the problem" in block
    plain = compare([made("base", 0, [e for e in episodes if not any(a.verdict.echo for a in e.attempts)])], "md")
    assert "how answers are stated" in plain
    assert "echo" not in plain


LONG = ["base", "self-refine", "score-no-shaping", "score-star-stage2"]


def test_eighty_columns_hold_every_figure_unbroken() -> None:
    subjects = ["Counting & Probability", "Intermediate Algebra", "Precalculus", "Geometry", "Number Theory", "Algebra"]
    episodes = [
        episode(str(i), ["00", "01", "10", "11"][i % 4], level=i % 5, subject=subjects[i % 6]) for i in range(500)
    ]
    runs = [made(method, seed, episodes) for method in LONG for seed in range(3)]
    text = compare(runs, baseline="base")
    assert max(map(len, text.splitlines())) <= 80
    assert all(len(re.findall(rf"^{method} ", text, re.M)) >= 4 for method in LONG)  # in each table, never folded
    trained = [method for method in LONG if method not in UNTRAINED]
    assert len(re.findall(r"^embedded, 3 seeds +0/0 45\.6, 54\.4 45\.6, 54\.4 ", text, re.M)) == len(trained)
    assert len(re.findall(r"^embedded, greedy +0/0 45\.6, 54\.4 45\.6, 54\.4 ", text, re.M)) == len(LONG) - len(trained)


def test_no_width_cuts_a_figure_or_loses_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """At every width all figures of the wide table are there, each whole, and no line is wider than the terminal."""
    runs = [
        made("score", seed, run_of(1200, 738, 458 + seed, 0), config={"alpha": 10.0, "steps": steps})
        for seed in range(2)
        for steps in (50, 100)
    ]
    runs += [made("base", 0, run_of(1200, 735, 8, 193))]

    def words(width: int) -> tuple[list[str], int]:
        monkeypatch.setenv("COLUMNS", str(width))
        text = compare(runs, baseline="base", tags=())
        return sorted(set(re.findall(r"[+-]?\d[\d,]*\.\d\b|\b0/0\b", text))), max(map(len, text.splitlines()))

    whole, _ = words(200)
    for width in (30, 40, 50, 60, 70, 80, 120):
        there, widest = words(width)
        assert there == whole, width
        assert widest <= width


def test_seeds_are_one_row_with_their_spread_or_a_row_each() -> None:
    runs = [made("score", seed, run_of(100, 50, gained, 0)) for seed, gained in enumerate((5, 10, 15))]
    pooled = compare(runs, "md")
    assert "score (embedded, 3 seeds)" in pooled
    assert re.search(r"\| \+10\.0 \(.*; sd 5\.0\) \|", pooled)
    expanded = compare(runs, "md", expand_seeds=True)
    assert "sd" not in expanded.replace("standard", "")
    assert all(f"score (embedded, seed {seed})" in expanded for seed in range(3))


def test_faulty_and_unfinished_runs_are_marked_and_explained() -> None:
    faulty = made("base", 0, [episode("a", "01"), episode("b", "e0")])
    unfinished = made("score", 0, [episode("a", "01")], problems={"count": 2})
    text = compare([faulty, unfinished])
    assert "base *" in text
    assert "score *" in text
    assert "* base: episodes not graded, and in no figure: 1." in text
    assert "* score: episodes still missing: 1." in text
    assert "*" not in compare([made()])


def test_settings_that_differ_are_named() -> None:
    runs = [made("score", config={"alpha": bonus}) for bonus in (10.0, 0.0)]
    text = compare(runs, "md")
    assert "score alpha=10.0" in text
    assert "score alpha=0.0" in text


def test_later_turns_have_their_own_table() -> None:
    runs = [
        made("score", episodes=[episode("a", "011"), episode("b", "001"), episode("c", "110"), episode("d", "010")])
    ]
    text = compare(runs, "md")
    row = next(line for line in text.split("attempt 3 against attempt 2")[1].splitlines() if line.startswith("| score"))
    assert re.match(r"\| score .*\| +50\.0 \(.*\| -25\.0 \(.*\| 25\.0 \(.*\| 50\.0 \(", row)
    assert "attempt 3" not in compare([made()], "md")


def test_comparison_shows_difference_interval_and_p() -> None:
    runs = [made("base", 0, run_of(100, 50, 0, 0)), made("score", 0, run_of(100, 56, 0, 0))]
    row = compare(runs, "md", baseline="base").split("against base")[1].splitlines()[4]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:2] == ["score (embedded, seed 0)", "100"]
    assert re.fullmatch(r"\+6\.0 \(\+\d.*\)", cells[2])
    assert re.fullmatch(r"0\.0 \(.*\)", cells[3])
    assert cells[4:] == ["0.031 (0.031)", "better"]
    even = [made("base", 0, run_of(100, 50, 0, 0)), made("score", 0, run_of(100, 53, 0, 0))]
    assert "not (distinguishable)" in compare(even, "md", baseline="base")


def test_latex_escapes_what_latex_reads() -> None:
    runs = [made("base", 0, [episode("a", "01", subject="Counting & Probability")], model={"name": "a_b#1"})]
    text = compare(runs, "latex")
    assert r"Counting \& Probability" in text
    assert r"a\_b\#1" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}")
    assert not re.search(r"(?<!\\)[%#_]", text)


def test_no_runs_make_no_table() -> None:
    assert compare([]) == ""


def test_notes_say_where_the_smaller_figures_stand() -> None:
    assert "beneath, the 95 % interval" in compare([made()])
    for form in ("md", "latex"):
        text = compare([made()], form)
        assert "in brackets, the 95 " in text
        assert "beneath" not in text


def test_limit_and_validation_are_marked_in_every_table() -> None:
    part = {"problems": {"count": 100, "digest": "ab"}, "asked": {"limit": 100}, "split": "validation"}
    for block in compare([made(**part), made("score", **part)], "md", baseline="base").split("### ")[1:]:
        rows = [line for line in block.splitlines() if line.startswith("|")][2:]
        assert all("validation, first 100" in row for row in rows), block


def test_changed_settings_stand_in_the_name() -> None:
    changed = made("score", asked={"set": ["stage1.steps=0"]}, config={"stages": {"stage1": {"steps": 0}}})
    plain = made("score", config={"stages": {"stage1": {"steps": 50}}})
    assert "| score stage1.steps=0 (" in compare([changed], "md")
    both = compare([changed, plain], "md")
    assert "| score stage1.steps=0 (" in both
    assert "| score stage1.steps=50 (" in both


def test_controls_budgets_and_echoes_have_tables_where_there_are_any() -> None:
    plain = compare([made()], "md")
    for word in ("was it correction?", "what the training took", "echo", "check finds"):
        assert word not in plain
    control = made("resample", 0, run_of(100, 50, 8, 2))
    spent = [made("score", s, trained_with={"replies": 100 + 100 * s, "gradient_steps": 10}) for s in range(2)]
    text = compare([control, *spent, made("star", trained_with={"replies": 300, "gradient_steps": 10})], "md")
    assert re.search(r"\| score \(embedded, 2 seeds\) \| +150 \| +- \| +10 \|", text)
    assert "were not given the same number of sampled replies" in text
    assert "gain over resample" in text


def test_published_figures_stand_beside_with_their_protocol() -> None:
    text = compare([made(data="hub")], "md", published=True)
    blocks = [block for block in text.split("### ") if "published figures" in block]
    flash = next(block for block in blocks if "| SCoRe (Gemini 1.5 Flash" in block)
    row = next(line for line in flash.splitlines() if line.startswith("| SCoRe (Gemini 1.5 Flash"))
    assert [cell.strip() for cell in row.strip("|").split("|")][1:4] == ["60.0", "64.4", "4.4"]
    assert flash.splitlines()[0].endswith("published figures, greedy, two turns, intrinsic")
    mean = next(block for block in blocks if "Avg@32" in block.splitlines()[0])
    assert "Gemini" not in mean, "protocols do not mix"
    assert "nothing is ranked" in text
    assert "embedded problems are not the benchmark" in compare([made()], "md", published=True)
    assert "none are known for mbpp" in compare([made(data="hub", task={"name": "mbpp"})], "md", published=True)
    assert "\\begin{tabular}" in compare([made(data="hub")], "latex", published=True)


HOSTILE = (
    "\x1b[31mred\x1b]0;title\x07 |x| <b> `code` *bold* [link](http://a) \x9b1m \u202egnp \n# head \ud800 $x$ \\input"
)


@pytest.mark.parametrize("form", ["table", "md", "latex", "csv", "json"])
def test_text_of_others_acts_on_nothing(form: Format) -> None:
    """Names, settings and tags that would colour a terminal, break a table or run a command."""
    episodes = [episode("a", "01", subject=HOSTILE), episode("b", "11", subject="=1+1")]
    run = made("base", 0, episodes, model={"name": HOSTILE}, asked={"set": [f"x={HOSTILE}"]}, system_prompt=HOSTILE)
    text = compare([run], form)
    text.encode()
    if form != "json":  # JSON escapes what it holds
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    if form == "md":
        assert not re.search(r"(?<!\\)[*`<\[]", text)
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("| base")}
        assert widths <= set(range(4, 20))
        assert not re.search(r"^# ", text, re.M)
    if form == "latex":
        body = text.replace("$\\to$", "").replace("$<$", "").replace("$>$", "").replace("$-$", "")
        assert not re.search(r"(?<!\\)[$#%_]", body)
        assert "\\input" not in body
