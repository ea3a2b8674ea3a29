"""The page in a browser: filters, search, differences, links, keys, sizes, and replies that attack it."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.page.conftest import written
from tests.page.hostile import REPLIES
from tests.page.made import episode, store

pytestmark = pytest.mark.browser


def expect(locator: Any) -> Any:
    """Playwright's, imported late: every test is collected where playwright is not installed."""
    from playwright.sync_api import expect as expected  # pyright: ignore[reportMissingImports]

    return expected(locator)


FLIPS = {"01": 3, "10": 2, "11": 4, "00": 5}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods with known flips, a cut reply, an episode without an answer, and one that was not graded."""
    out = tmp_path_factory.mktemp("small")
    flips = [flip for flip, count in FLIPS.items() for _ in range(count)]
    subjects = ["Algebra", "Geometry"]
    episodes = [episode(f"p{n:02}", flip, subject=subjects[n % 2], level=1 + n % 3) for n, flip in enumerate(flips)]
    words = ["The sum $a+b$ is seven, so the answer is $7$.", "The sum $a+b$ is eight, so the answer is $8$."]
    thought = "<think>let me see, perhaps ten</think>\n```python\ndef f(x):\n    return x + 1  # one more\n```"
    odd = [
        episode("q-words", "01", words, answer="8", subject="Algebra", level=1),
        episode("q-cut", "00", finish="length", subject="Algebra", level=1),
        episode("q-none", "00", answer=None, subject="Algebra", level=1),
        episode("q-error", "1e", subject="Algebra", level=1),
        episode("q-thought", "11", [thought, thought.replace("+ 1", "+ 2")], subject="Algebra", level=1),
    ]
    store(out, [*episodes, *odd])
    other = [
        episode(one.problem_id, "10" if n == 0 else "11", subject=one.tags["subject"], level=one.tags["level"])
        for n, one in enumerate(episodes)
    ]
    store(out, other, method="self-refine")
    return written(out)


def expect_count(tab: Any, number: int) -> None:
    """Waits until the list has so many episodes: the page draws it after the click."""
    expect(tab.locator("#count")).to_have_text(re.compile(rf"^{number:,} of "))


def test_clicks_that_follow_at_once_all_count(watch: Any, small: Path) -> None:
    """All of them before the browser has told the page of its changed address; then back, one click at a time."""
    tab = watch().open(small, "#view=read&method=base")
    expect_count(tab, 19)
    click = "(words) => words.forEach((word) => document.querySelector(`[data-filter=${word}]`).click())"
    tab.evaluate(click, ["cut", "cut", "ii", "none"])
    expect_count(tab, 1)
    assert tab.url.endswith("#view=read&method=base&flip=ii&marks=none")
    tab.go_back()
    expect_count(tab, 7)
    tab.go_back()
    expect_count(tab, 19)


def test_each_filter_shows_as_many_episodes_as_there_are(watch: Any, small: Path) -> None:
    tab = watch().open(small, "#view=read&method=base")
    expect_count(tab, 19)
    for kind, number in {"ic": 4, "ci": 2, "cc": 5, "ii": 7, "error": 1}.items():
        chip = f'#flip-chips [data-filter="{kind}"]'
        assert tab.text_content(f"{chip} .n") == str(number)
        tab.click(chip)
        expect_count(tab, number)
        tab.click(chip)
    for mark, number in {"cut": 1, "none": 1}.items():
        tab.click(f'#flag-chips [data-filter="{mark}"]')
        expect_count(tab, number)
        tab.click(f'#flag-chips [data-filter="{mark}"]')
    tab.select_option("#filter-subject", "Geometry")
    expect_count(tab, 7)
    tab.select_option("#filter-level", "2")
    expect_count(tab, sum(1 for n in range(14) if n % 2 == 1 and n % 3 == 1))
    tab.select_option("#filter-method", "self-refine")
    expect_count(tab, 3)
    tab.click('#flip-chips [data-filter="ci"]')
    expect_count(tab, 0)


def test_search_finds_the_words_of_a_reply_and_shows_them(watch: Any, small: Path) -> None:
    tab = watch().open(small, "#view=read")
    tab.keyboard.press("/")
    tab.keyboard.type("IS EIGHT")
    expect(tab.locator("#count")).to_have_text("1 of 33 episodes")
    assert tab.text_content("#rows mark") == "is eight"
    assert "q-words" in tab.text_content("#detail h2")
    tab.fill("#search", "(.*")  # letters, and no pattern
    expect(tab.locator("#count")).to_have_text("0 of 33 episodes")


def test_the_words_that_differ_are_marked_and_no_others(watch: Any, small: Path) -> None:
    tab = watch().open(small, "#view=read&method=base&q=seven")
    tab.wait_for_selector("#detail mark.gone")

    def marked(kind: str) -> list[str]:
        return tab.eval_on_selector_all(f".columns mark.{kind}", "all => all.map(one => one.innerText.trim())")

    assert [words.split()[0] for words in marked("gone")] == ["seven", "7"]
    assert [words.split()[0] for words in marked("come")] == ["eight", "8"]
    assert tab.locator(".columns .answer math").count() >= 1, "the extracted answer is marked in the reply"
    tab.keyboard.press("d")
    expect(tab.locator(".columns mark")).to_have_count(0)


def test_thoughts_are_folded_code_is_coloured_and_formulas_are_set(watch: Any, small: Path) -> None:
    tab = watch().open(small, "#view=read&method=base&q=one%20more")
    tab.wait_for_selector("#detail pre.code")
    assert tab.locator("#detail .attempts details.thought").first.get_attribute("open") is None
    assert tab.locator("#detail .attempts .keyword").first.text_content().strip() == "def"
    assert "let me see" not in tab.locator("#detail .attempts .prose:visible").all_text_contents()
    tab = watch().open(small, "#view=read&method=base&q=seven")
    tab.wait_for_selector("#detail math")


def test_every_episode_and_filter_has_a_link(watch: Any, small: Path) -> None:
    tab = watch().open(small, "#view=read&method=base&flip=ci")
    tab.locator("#rows .row").nth(1).click()
    expect(tab.locator("#detail h2")).to_have_text("p04")
    address = tab.evaluate("location.hash")
    again = watch().open(small, address)
    expect(again.locator("#detail h2")).to_have_text("p04")
    expect_count(again, 2)
    missing = watch().open(small, "#view=read&episode=nothing~0~nothing")
    missing.wait_for_selector("#detail .nothing")


def test_keys_go_through_the_list(watch: Any, small: Path) -> None:
    tab = watch().open(small, "#view=read&method=base")
    expect(tab.locator("#detail h2")).to_have_text("p00")
    for key, name in (("j", "p01"), ("j", "p02"), ("k", "p01")):
        tab.keyboard.press(key)
        expect(tab.locator("#detail h2")).to_have_text(name)
    tab.keyboard.press("?")
    assert tab.is_visible("#help")
    tab.keyboard.press("Escape")
    assert not tab.is_visible("#help")
    tab.keyboard.press("/")
    expect(tab.locator("#search")).to_be_focused()
    tab.keyboard.type("j")
    assert tab.input_value("#search") == "j"
    tab.keyboard.press("Escape")
    tab.keyboard.press("r")
    tab.wait_for_selector("#overview:not([hidden])")


def test_a_cell_of_the_flips_leads_to_its_episodes(watch: Any, small: Path) -> None:
    tab = watch().open(small)
    table = 'table[data-title="self-refine against base"]'
    numbers = {k: tab.text_content(f"{table} td.{k} .number") for k in ("cc", "ci", "ic", "ii")}
    # base is right at attempt 2 in 3 + 4 of the 14 shared problems; self-refine is wrong in the first alone.
    assert numbers == {"cc": "6", "ci": "1", "ic": "7", "ii": "0"}
    tab.click(f'{table} a[data-cell="ci"]')
    tab.wait_for_selector("#detail h2")
    assert tab.text_content("#detail h2") == "p00"
    expect_count(tab, 1)


@pytest.mark.parametrize("width", [390, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_window(watch: Any, large: Path, width: int, scheme: str) -> None:
    watched = watch(width, 900, scheme)
    for address in ("", "#view=read", "#view=read&method=score&flip=ic"):
        tab = watched.open(large, address)
        if address and width == 390:
            tab.locator("#rows .row").first.click()
            tab.wait_for_selector("#detail h2")
        tab.wait_for_timeout(100)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        red, green, blue = map(
            int, tab.evaluate("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3)")
        )
        assert (red + green + blue < 200) == (scheme == "dark")


def test_the_theme_can_be_turned(watch: Any, small: Path) -> None:
    tab = watch().open(small)

    def paper() -> str:
        return tab.evaluate("getComputedStyle(document.body).backgroundColor")

    light = paper()
    tab.click("#theme")
    assert paper() != light
    tab.click("#theme")
    assert paper() == light


def test_4_methods_on_1200_problems_open_at_once(watch: Any, large: Path, capsys: pytest.CaptureFixture[str]) -> None:
    watched = watch()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        tab = watched.open(large)
        seconds.append(time.perf_counter() - start)
        tab.goto("about:blank")
    tab = watched.open(large)
    start = time.perf_counter()
    tab.select_option("#flips-method", "self-refine")
    tab.click('table[data-title="self-refine against base"] a[data-cell="ci"]')
    tab.wait_for_selector("#detail h2")
    first = time.perf_counter() - start
    with capsys.disabled():
        size = large.stat().st_size / 1e6
        print(f"\n4 x 1,200 episodes: {size:.1f} MB, open in {min(seconds):.2f} s")
        print(f"The first c->i of self-refine against base is there {first:.2f} s later, in two clicks")
    assert large.stat().st_size < 20e6
    assert min(seconds) < 10, "2 s are asked for; a busy machine gets five times as many"


def test_hostile_replies_run_nothing_and_fetch_nothing(watch: Any, tmp_path: Path) -> None:
    evil = REPLIES["event handler"]
    episodes = [
        episode(
            f"{name} {evil}",
            "01",
            [text, f"{text} {number}"],
            answer=text[:3000],
            detail=text[:200],
            subject=evil,
            level=evil,
        )
        for number, (name, text) in enumerate(REPLIES.items())
    ]
    for name in ("base", REPLIES["script"], REPLIES["bidi"], REPLIES["ANSI"]):
        store(tmp_path, episodes, method=name, model=evil, data=evil)
    assert len(REPLIES) == 20
    watched = watch()
    tab = watched.open(written(tmp_path))
    assert tab.locator("#overview svg").count() >= 1
    tab = watched.open(tmp_path / "view.html", "#view=read")
    for _ in range(4 * len(REPLIES)):
        tab.wait_for_selector("#detail h2")
        tab.evaluate("for (const fold of document.querySelectorAll('#detail details')) fold.open = true")
        foreign = "#detail :is(script, iframe, object, embed, img, form, base, meta, link, style)"
        assert tab.locator(foreign).count() == 0
        links = tab.eval_on_selector_all("#detail a", "all => all.map(one => one.getAttribute('href'))")
        assert all(link.startswith("#") for link in links)
        tab.keyboard.press("j")
        tab.wait_for_timeout(50)
    assert tab.evaluate("window.hit") is None


def test_what_cannot_be_seen_is_shown(watch: Any, tmp_path: Path) -> None:
    store(tmp_path, [episode("a", "01", [REPLIES["bidi"], REPLIES["ANSI"]])])
    tab = watch().open(written(tmp_path), "#view=read")
    tab.wait_for_selector("#detail h2")
    first, second = tab.locator("#detail .reply").all_text_contents()
    assert "⟨U+202E⟩" in first
    assert "␛[31mred" in second
    assert not any(letter in first + second for letter in "\u202e\x1b\x00")


def test_the_policy_stops_what_would_run(browser: Any, small: Path) -> None:
    """The second line of defence: markup that reached the document all the same could do nothing."""
    tab = browser.new_page()
    tab.goto(small.as_uri())
    tab.wait_for_selector("html[data-ready]")
    blocked = tab.evaluate(
        """async () => {
          const found = [];
          document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
          const script = document.createElement("script");
          try { script.textContent = "window.hit = 1"; document.body.append(script); }
          catch { found.push("trusted types"); }
          try { document.body.insertAdjacentHTML("beforeend", "<img src=x>"); } catch { found.push("trusted types"); }
          try { await fetch("http://evil.example/"); } catch { found.push("fetch"); }
          return [found, window.hit === undefined];
        }"""
    )
    assert blocked[1]
    assert "fetch" in blocked[0]
    assert "trusted types" in blocked[0]
