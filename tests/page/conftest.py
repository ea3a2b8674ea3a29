"""A browser, and pages of made runs. Everything here is for tests that are marked `browser`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from scorebench.report.page import page
from tests.page.made import store_many

CHROMIUM = "/usr/bin/chromium"
# Chromium as root, without a screen, and without calls home of its own.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]


@dataclass
class Watched:
    """A tab, and everything that it did besides showing its page."""

    tab: Any
    complaints: list[str] = field(default_factory=list)

    def open(self, file: Path, address: str = "") -> Any:
        self.tab.goto(f"{file.as_uri()}{address}")
        self.tab.wait_for_selector("html[data-ready]", timeout=60_000)
        return self.tab


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def watch(browser: Any) -> Iterator[Any]:
    """Opens tabs of a size and theme; none of them may complain, ask for anything or show a dialog."""
    tabs: list[Watched] = []

    def opened(width: int = 1280, height: int = 800, scheme: str = "light") -> Watched:
        tab = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme).new_page()
        watched = Watched(tab)
        tab.on("dialog", lambda dialog: (watched.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))
        tab.on("pageerror", lambda error: watched.complaints.append(f"error {error}"))
        tab.on("console", lambda line: line.type == "error" and watched.complaints.append(f"console {line.text}"))
        tab.on(
            "request", lambda request: _is_foreign(request.url) and watched.complaints.append(f"request {request.url}")
        )
        tab.on("popup", lambda popup: watched.complaints.append(f"popup {popup.url}"))
        tabs.append(watched)
        return watched

    yield opened
    for watched in tabs:
        watched.tab.context.close()
    assert [complaint for watched in tabs for complaint in watched.complaints] == []


def _is_foreign(url: str) -> bool:
    return not url.startswith(("file:", "data:"))


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 4 methods on 1,200 problems."""
    out = tmp_path_factory.mktemp("large")
    store_many(out, ["base", "self-refine", "star", "score"], 1200)
    return written(out)


def written(out: Path) -> Path:
    file = out / "view.html"
    file.write_text(page(out).html, encoding="utf-8")
    return file
