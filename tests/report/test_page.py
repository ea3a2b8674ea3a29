"""The page holds what it shows, is packed small, makes no markup of replies, and survives damaged runs."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import urllib.error
import urllib.request
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.errors import UserError
from scorebench.report.page import build, page, server
from scorebench.report.page.episodes import episode_of, flags_of, flip_of, shortened
from scorebench.report.page.references import as_text
from scorebench.storage.runs import as_row
from tests.page.hostile import REPLIES
from tests.page.made import episode, store, store_many


class Reader(HTMLParser):
    """What a browser would make of the page: its elements, their attributes, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.elements and self.elements[-1][0] in ("script", "style") and self.scripts[-1][1] == "":
            self.scripts[-1] = (self.scripts[-1][0], data)
        else:
            self.text.append(data)

    def of_type(self, kind: str | None) -> list[str]:
        """The contents of the scripts and styles of a type."""
        return [text for attributes, text in self.scripts if attributes.get("type") == kind]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    flips = ["01", "10", "00", "11", "1e"]
    store(tmp_path, [episode(f"p{n}", flip, subject="Algebra") for n, flip in enumerate(flips)])
    return tmp_path


def unpacked(read: Reader) -> list[Any]:
    return [build.unpack(text) for text in read.of_type("text/plain")]


def test_every_episode_is_packed_with_its_texts(results: Path) -> None:
    index, block = unpacked(Reader(page(results).html))
    (group,) = index
    assert group["problems"] == ["p0", "p1", "p2", "p3", "p4"]
    assert group["columns"]["flip"] == ["ic", "ci", "ii", "cc", "error"]
    assert group["tags"][0] == {"subject": "Algebra"}
    assert group["instruction"] == "You are a math expert.\n\n"
    assert len(block["episodes"]) == 5
    first = block["episodes"][group["columns"]["at"][0]]
    assert [role for role, _ in first["messages"]] == ["user", "assistant", "user", "assistant"]
    assert [(attempt["message"], attempt["outcome"]) for attempt in first["attempts"]] == [(1, "fail"), (3, "pass")]


def test_packing_is_undone_letter_by_letter_and_gives_the_same_text_again() -> None:
    value = {"texts": [*REPLIES.values(), "\ud800 half", "ü"], "numbers": [1, 2.5, None]}
    assert build.unpack(build.pack(value)) == value
    assert build.pack(value) == build.pack(value)


def test_figures_are_on_the_page_without_a_script_and_embedded_is_said(tmp_path: Path) -> None:
    episodes = [episode(str(n), "01" if n < 3 else "11") for n in range(10)]
    store(tmp_path, episodes)
    store(tmp_path, [episode(str(n), "11") for n in range(10)], method="score")
    text = "".join(Reader(page(tmp_path).html).text)
    for figure in ("70.0", "+30.0", "100.0", "baseline"):
        assert figure in text
    assert "no evidence" not in text
    store(tmp_path, episodes, data="embedded")
    read = Reader(page(tmp_path).html)
    assert "no evidence\n    about language models" in "".join(read.text)


def test_the_policy_names_the_scripts_and_styles_of_the_page_and_nothing_else(results: Path) -> None:
    read = Reader(page(results).html)
    (policy,) = [a["content"] or "" for _, a in read.elements if a.get("http-equiv") == "Content-Security-Policy"]
    running = [text for tag, text in read.scripts if tag.get("type") is None]
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in running}
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert set(allowed["script-src"].split()) | set(allowed["style-src"].split()) == hashes
    assert allowed["default-src"] == allowed["connect-src"] == allowed["base-uri"] == "'none'"
    assert allowed["img-src"] == "data:"
    assert "unsafe" not in policy


def test_nothing_comes_from_elsewhere_and_no_element_has_a_handler(results: Path) -> None:
    for _, attributes in Reader(page(results).html).elements:
        targets = [value or "" for name, value in attributes.items() if name in ("src", "href", "xlink:href", "srcset")]
        assert all(target.startswith(("#", "data:image/svg+xml;base64,")) for target in targets)
        assert not [name for name in attributes if name.startswith("on")]
    style = (Path(build.__file__).parent / "static" / "style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style


def test_the_script_of_the_page_makes_no_markup_of_texts() -> None:
    for file in (Path(build.__file__).parent / "static").glob("*.js"):
        found = re.findall(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", file.read_text()
        )
        assert found == [], file.name


def test_hostile_names_and_texts_are_no_markup(tmp_path: Path) -> None:
    evil = "".join(REPLIES[name] for name in ("end of script", "event handler", "form", "ANSI"))
    store(
        tmp_path,
        [episode(evil, "01", evil, answer=evil, detail=evil, subject=evil)],
        method=evil,
        model=evil,
        data=evil,
    )
    store(tmp_path, [episode(evil, "01", evil)], method="base", model=evil, data=evil)
    read = Reader(page(tmp_path).html)
    allowed = {"script": 3 + len(unpacked(read)), "style": 1, "form": 2, "iframe": 0, "object": 0, "base": 0, "svg": 0}
    assert {tag: [name for name, _ in read.elements].count(tag) for tag in allowed} == allowed
    assert sum(evil.replace("\ud800", "?") in text for text in read.text) >= 2
    (overview,) = read.of_type("application/json")
    assert {row["method"] for row in json.loads(overview)["groups"][0]["rows"]} == {evil, "base"}


def test_a_page_of_4800_episodes_stays_small(tmp_path: Path) -> None:
    store_many(tmp_path, ["base", "self-refine", "star", "score"], 1200, words=40)
    html = page(tmp_path).html
    read = Reader(html)
    index, *blocks = unpacked(read)
    assert len(index[0]["columns"]["run"]) == 4800
    assert sum(len(block["episodes"]) for block in blocks) == 4800
    assert max(len(json.dumps(block)) for block in blocks) < 4 * 1_000_000, "a block is unpacked at once"
    assert len(html) < 20_000_000


def test_where_all_texts_are_too_many_long_ones_are_shortened_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def noise(name: str) -> str:
        return "".join(hashlib.sha256(f"{name} {n}".encode()).hexdigest() for n in range(300))

    store(tmp_path, [episode(f"p{n}", "01", noise(str(n))) for n in range(5)])
    whole = page(tmp_path)
    assert not any("characters are shown" in complaint for complaint in whole.complaints)
    monkeypatch.setattr(build, "LARGEST", 20_000)
    cut = page(tmp_path)
    assert any("2,500 characters are shown" in complaint for complaint in cut.complaints)
    assert len(cut.html) < len(whole.html)
    monkeypatch.setattr(build, "LARGEST", 100)
    with pytest.raises(UserError, match="--transcripts"):
        page(tmp_path)


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    text = "a" * 500 + "b" * 500
    cut = shortened(text, 300)
    assert cut.startswith("a" * 200)
    assert cut.endswith("b" * 100)
    assert "700 characters are left out" in cut
    assert shortened(text, 1000) == text


def test_so_many_episodes_of_each_flip_are_kept_as_are_asked_for(tmp_path: Path) -> None:
    flips = ["01"] * 7 + ["10"] * 2 + ["00"] * 4 + ["1e"]
    store(tmp_path, [episode(f"p{n:02}", flip) for n, flip in enumerate(flips)])
    index, _ = unpacked(Reader(page(tmp_path, transcripts=3).html))
    kept = index[0]["columns"]["flip"]
    assert {kind: kept.count(kind) for kind in set(kept)} == {"ic": 3, "ci": 2, "ii": 3, "error": 1}


def test_verdicts_are_read_with_and_without_the_newer_fields() -> None:
    row = as_row(episode("p", "01", answer=None, finish="length"))
    for attempt in row["attempts"]:
        attempt["verdict"].pop("reading", None)
        attempt["verdict"].pop("echo", None)
    assert flip_of(row) == "ic"
    assert flags_of(row) == 1 + 2  # cut off, and no answer stated
    row["attempts"][0]["verdict"] |= {"reading": "loose", "echo": True}
    row["attempts"][1]["verdict"] |= {"reading": "stated"}
    assert flags_of(row) == 1 + 4 + 8
    assert [attempt["reading"] for attempt in episode_of(row, 100)["attempts"]] == ["loose", "stated"]


def test_a_reference_is_an_answer_or_the_tests_of_a_program() -> None:
    assert as_text("\\frac{1}{2}") == "\\frac{1}{2}"
    assert as_text(9) == "9"
    assert (
        as_text({"tests": ("assert f(1) == 2", "assert f(2) == 3"), "gold": "secret"})
        == "assert f(1) == 2\nassert f(2) == 3"
    )


DAMAGES = {
    "no JSON": ("run.json", "{"),
    "a foreign file": ("run.json", '{"name": "somebody else\'s"}'),
    "a name that is no text": (
        "run.json",
        '{"identity": {"task": {"name": 3}, "data": "hub", "split": "test", "method": {"name": "a"}, '
        '"model": {"name": "m"}, "seed": 0}, "about": {}}',
    ),
    "a list": ("run.json", "[]"),
    "a row that is no JSON": ("episodes.jsonl", "{\n"),
    "a row of another shape": ("episodes.jsonl", '{"id": "x", "attempts": ["a"]}\n'),
    "a row that is a number": ("episodes.jsonl", "3\n"),
    "bytes that are no text": ("episodes.jsonl", "\udcff\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_named_and_the_others_are_shown(results: Path, damage: str) -> None:
    name, content = DAMAGES[damage]
    broken = store(results, [episode("p0", "01")], method="broken")
    (broken / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    made = page(results)
    assert any(complaint.startswith(broken.name) and "left out" in complaint for complaint in made.complaints)
    assert broken.name in "".join(Reader(made.html).text)
    index, _ = unpacked(Reader(made.html))
    assert len(index[0]["columns"]["run"]) == 5
    (results / "runs" / "run-0" / "run.json").unlink()
    with pytest.raises(UserError, match=r"No run in .* can be read"):
        page(results)


LOGS = {
    "good": '{"step": 1, "reward": 0.5}\n',
    "no-json": "{\n",
    "no-step": '{"reward": 0.5}\n',
    "lacks-a-key": '{"step": 1, "correct": [0.5]}\n{"step": 2}\n',
    "no-number": '{"step": 1, "reward": "much"}\n',
    "other-lengths": '{"step": 1, "kl": [0.5]}\n{"step": 2, "kl": [0.5, 0.5]}\n',
}


def test_a_damaged_training_is_named_and_the_others_are_drawn(results: Path) -> None:
    identity = {"task": {"name": "math"}, "data": "hub", "model": {"name": "m"}, "seed": 0}
    for name, log in LOGS.items():
        folder = results / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "training.json").write_text(json.dumps({"identity": {**identity, "method": {"name": name}}}))
        (folder / "steps.jsonl").write_text(log)
    (results / "checkpoints" / "foreign").mkdir()
    (results / "checkpoints" / "foreign" / "training.json").write_text("{")
    made = page(results)
    pictures = [attributes["alt"] for tag, attributes in Reader(made.html).elements if tag == "img"]
    assert [name for name in pictures if name and name.startswith("training-")] == ["training-good"]
    for name in [*LOGS, "foreign"]:
        assert any(name in complaint for complaint in made.complaints) == (name != "good"), name


def test_without_runs_there_is_no_page(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There are no runs"):
        page(tmp_path)
    store(tmp_path, [episode("a", "11")], split="validation")
    with pytest.raises(UserError, match="There are no runs"):
        page(tmp_path)


def test_a_served_page_follows_the_rows_and_answers_to_this_machine_alone(results: Path) -> None:
    live = server.LivePage(results)
    first = live.html()
    assert live.html() is first, "nothing has changed"
    serving = server.server_of(live, 0)
    assert serving.server_address[0] == "127.0.0.1"
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{serving.server_port}/"
        store(results, [episode("p0", "01")], method="later")
        with urllib.request.urlopen(address, timeout=60) as answer:
            assert b"later" in answer.read()
        for path, host, status in (("runs/run-0/run.json", None, 404), ("", "evil.example:80", 403), ("", "", 403)):
            headers = {} if host is None else {"Host": host}
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(address + path, headers=headers), timeout=60)
            assert refused.value.code == status
    finally:
        serving.shutdown()
        serving.server_close()


def test_rows_beside_a_damaged_one_are_shown_and_the_damage_is_told(results: Path) -> None:
    rows = results / "runs" / "run-0" / "episodes.jsonl"
    rows.write_text("{\n" + rows.read_text())
    made = page(results)
    assert any("run-0, lines left out: 1. The first: line 1" in complaint for complaint in made.complaints)
    assert len(unpacked(Reader(made.html))[0][0]["columns"]["run"]) == 5


def test_a_greedy_run_that_other_seeds_only_repeat_is_shown_once(tmp_path: Path) -> None:
    greedy = {"sampling": {"temperature": 0.0}, "training": None}
    episodes = [episode(f"p{n}", "01") for n in range(3)]
    for seed in (0, 1):
        store(tmp_path, episodes, seed=seed, **greedy)
        store(tmp_path, [episode(f"p{n}", "11", f"seed {seed}") for n in range(3)], method="score", seed=seed)
    read = Reader(page(tmp_path).html)
    (group,) = json.loads(read.of_type("application/json")[0])["groups"]
    assert {row["label"]: (row["seeds"], len(row["runs"])) for row in group["rows"]} == {
        "base": ("greedy", 1),
        "score": ("2 seeds", 2),
    }
    (index,) = unpacked(read)[0]
    named = {run for row in group["rows"] for run in row["runs"]}
    assert {run["name"] for run in index["runs"]} == named
    assert len(index["columns"]["run"]) == 9


def test_rows_with_one_label_are_told_apart(tmp_path: Path) -> None:
    for data in ("a b", "a-b"):  # two groups whose names are one word in a file's name
        store(tmp_path, [episode("p", "01")], data=data)
    groups = json.loads(Reader(page(tmp_path).html).of_type("application/json")[0])["groups"]
    assert len({group["key"] for group in groups}) == 2


def test_problems_stand_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    names = ["p/10", "p/2", "p/02x", "a/1", "7" * 5000, "p/1"]
    store(tmp_path, [episode(name, "01") for name in names])
    (group,) = unpacked(Reader(page(tmp_path).html))[0]
    assert group["problems"] == ["7" * 5000, "a/1", "p/1", "p/2", "p/02x", "p/10"]
