"""The page holds everything it shows, lets nothing of a reply become markup, and shows some of each kind of flip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.errors import UserError
from scorebench.api.types import Attempt, Episode, Message, Reply, Verdict
from scorebench.report.page import LONGEST, page
from scorebench.storage.runs import open_run

HOSTILE = "</pre></details><script>alert(1)</script><img src=x onerror=alert(2)>\"' &lt;"


def episode(problem: str, outcomes: str, said: str = "an answer", sample: int = 0, **tags: str | int) -> Episode:
    words: dict[str, Any] = {"1": "pass", "0": "fail", "e": "error"}
    texts = [f"{said} {turn}" for turn in range(len(outcomes))]
    transcript: list[Message] = []
    for text in texts:
        transcript.append({"role": "user", "content": f"a question {said}"})
        transcript.append({"role": "assistant", "content": text})
    attempts = tuple(
        Attempt(Reply(text, tokens=3), Verdict(words[outcome], said, "a rule", said))
        for text, outcome in zip(texts, outcomes, strict=True)
    )
    return Episode(problem, sample, attempts, tuple(transcript), tags)


def store(out: Path, episodes: Sequence[Episode], method: str = "base", model: str = "m", **changes: Any) -> str:
    identity = {
        "task": {"name": "math", "version": "1"},
        "data": "hub",
        "split": "test",
        "method": {"name": method, "config": {}},
        "model": {"name": model, "digest": "00"},
        "seed": 0,
        **changes,
    }
    run = open_run(out / "runs", identity)
    with run.writing() as writer:
        for one in episodes:
            writer.append(one, {})
    return run.name


class Reader(HTMLParser):
    """What a browser would make of the page: its elements, their attributes, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_hostile_text_is_shown_and_is_no_markup(tmp_path: Path) -> None:
    hostile = [episode(f"{HOSTILE}{n}", flips, HOSTILE, subject=HOSTILE) for n, flips in enumerate(("11", "01", "e1"))]
    store(tmp_path, hostile, method=HOSTILE, model=HOSTILE, data=HOSTILE)
    read = Reader(page(tmp_path, transcripts=5))
    assert not {"script", "img", "iframe", "link", "object", "form"} & {tag for tag, _ in read.elements}
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert [text for text in read.text if HOSTILE in text].count(f"{HOSTILE} 0") == 3
    for told in (f"{HOSTILE}0", f"a question {HOSTILE}", f"{HOSTILE}; a rule; {HOSTILE}", f"math (data {HOSTILE})"):
        assert told in "".join(read.text)
    assert len(read.named("svg")) == 3


def test_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    store(tmp_path, [episode(str(n), "01") for n in range(4)])
    text = page(tmp_path, transcripts=5)
    for _, attributes in Reader(text).elements:
        targets = [value or "" for name, value in attributes.items() if name in ("src", "href", "xlink:href", "srcset")]
        assert all(target.startswith("#") for target in targets)
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert all(part.startswith("#") for part in (rest.split(")")[0] for rest in text.split("url(")[1:]))


def test_some_of_each_flip_are_shown_and_counted(tmp_path: Path) -> None:
    flips = ["01"] * 7 + ["10"] * 2 + ["00"] * 4 + ["11"] * 3 + ["1e"]
    name = store(tmp_path, [episode(f"p{n:02}", flip) for n, flip in enumerate(flips)])
    text = page(tmp_path, transcripts=3)
    read = Reader(text)
    shown = [a["class"] for a in read.named("details") if (a.get("class") or "").startswith("episode ")]
    kinds = {"gained": 3, "lost": 2, "stayed-wrong": 3, "stayed-right": 3, "not-graded": 1}
    assert {kind: shown.count(f"episode {kind}") for kind in kinds} == kinds
    assert len(shown) == sum(kinds.values())
    radios = [a["value"] for a in read.named("input") if a["name"] == name]
    assert radios == ["all", *kinds]
    for radio in radios[1:]:
        assert f'.run:has(input[value="{radio}"]:checked) .episode:not(.{radio}) {{ display: none }}' in text
    for count in ("i→c: 3 of 7", "c→i: 2 of 2", "i→i: 3 of 4", "c→c: 3 of 3", "error: 1 of 1"):
        assert count in "".join(read.text)


def test_figures_are_the_tables_and_embedded_is_said(tmp_path: Path) -> None:
    episodes = [episode(str(n), "01" if n < 3 else "11") for n in range(10)]
    store(tmp_path, episodes)
    text = "".join(Reader(page(tmp_path, 1)).text)
    assert "70.0" in text
    assert "+30.0" in text
    assert "embedded" not in text
    store(tmp_path, episodes, data="embedded")
    assert "no evidence about language models" in "".join(Reader(page(tmp_path, 1)).text)


def test_a_training_is_drawn_once_for_all_seeds(tmp_path: Path) -> None:
    store(tmp_path, [episode("a", "11")])
    for seed in (0, 1):
        folder = tmp_path / "checkpoints" / f"score-{seed}"
        folder.mkdir(parents=True)
        identity = {
            "task": {"name": "math"},
            "data": "hub",
            "method": {"name": "score"},
            "model": {"name": "m"},
            "seed": seed,
        }
        (folder / "training.json").write_text(json.dumps({"identity": identity}))
        (folder / "steps.jsonl").write_text('{"step": 1, "reward": 0.5, "loss": 0.5}\n')
    text = "".join(Reader(page(tmp_path, 1)).text)
    assert "Training of score, seed 0" in text
    assert "Training of score, seed 1" not in text


def test_a_long_message_is_cut_and_says_so(tmp_path: Path) -> None:
    store(tmp_path, [episode("a", "1", "x" * 2 * LONGEST)])
    text = page(tmp_path, transcripts=1)
    assert "x" * LONGEST in text
    assert "x" * (LONGEST + 1) not in text
    assert "more characters)" in text


def test_without_runs_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There are no runs"):
        page(tmp_path, 1)
    store(tmp_path, [episode("a", "11")], split="validation")
    with pytest.raises(UserError, match="There are no runs"):
        page(tmp_path, 1)
