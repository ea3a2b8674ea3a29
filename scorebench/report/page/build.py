"""Puts the page together: one HTML file that holds its style, its script, its figures and its packed episodes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from scorebench.api.errors import UserError
from scorebench.api.progress import progress
from scorebench.report import gallery, plots
from scorebench.report.gallery import Picture
from scorebench.report.page.episodes import Reader, reader_of
from scorebench.report.page.overview import groups_of
from scorebench.report.page.references import References
from scorebench.report.page.stored import StoredRun, read_stored

LARGEST = 18_000_000  # bytes of packed episodes; the whole page stays under 20 MB
LONGEST = (20_000, 10_000, 5_000, 2_500, 1_200)  # characters of a message; the first length that is small enough
SCRIPTS = ("state", "data", "text", "diff", "draw", "overview", "reader", "detail", "main")  # in static/, in this order


@dataclass(frozen=True)
class Page:
    """The page. complaints: what is not on it, and why, a sentence each."""

    html: str
    complaints: Sequence[str]


def page(out: Path, transcripts: int | None = None, data: Path | None = None) -> Page:
    """The page of all runs on test problems under a folder of results.

    transcripts: how many episodes of each kind of flip are shown of a run, at most; None for all. data: a folder of the
    benchmark's files, in which references are looked up. UserError where there are no runs.
    """
    stored = read_stored(out)
    references = References(data)
    groups = groups_of(stored.runs)
    shown = {run for group in groups for row in group["rows"] for run in row["runs"]}  # less seeds that only repeat
    packed, longest = _packed([run for run in stored.runs if run.run.name in shown], references, transcripts)
    of_runs = [picture for picture in gallery.of_runs(stored.summaries) if not picture.name.startswith("accuracy-")]
    of_trainings = gallery.of_trainings(out / "checkpoints", first_seed_only=True)
    pictures, faults = _drawn([*of_runs, *of_trainings.pictures])
    complaints = [*stored.complaints, *references.complaints, *of_trainings.complaints, *faults]
    if longest < LONGEST[0]:
        complaints.append(f"Of long messages only {longest:,} characters are shown, so that the page stays small.")
    overview = {
        "groups": groups,
        "complaints": complaints,
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "longest": longest,
    }
    return Page(_html(overview, packed, pictures), complaints)


def _packed(runs: Sequence[StoredRun], references: References, transcripts: int | None) -> tuple[list[str], int]:
    """The index and the blocks, packed, and the length that messages were shortened to."""
    packed: list[str] = []
    for longest in LONGEST:
        reader = reader_of(runs, references, longest, transcripts)
        packed = list(_packs(reader))
        if sum(map(len, packed)) <= LARGEST:
            return packed, longest
    raise UserError(
        f"The page would have {sum(map(len, packed)) / 1e6:.0f} MB; show fewer episodes with --transcripts 20."
    )


def _packs(reader: Reader) -> Iterable[str]:
    yield pack(reader.index)
    with progress("pack episodes", len(reader.blocks)) as tell:
        for done, block in enumerate(reader.blocks, start=1):
            yield pack(block)
            tell(done)


def pack(value: Any) -> str:
    """Plain data as JSON, gzip and base64, which the browser unpacks; the same data gives the same text."""
    return base64.b64encode(gzip.compress(json.dumps(value, separators=(",", ":")).encode(), 9, mtime=0)).decode()


def unpack(text: str) -> Any:
    """The data that `pack` was given."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def _drawn(pictures: Sequence[Picture]) -> tuple[list[dict[str, str]], list[str]]:
    """The plots as images with everything in their address, and a sentence for each that cannot be drawn."""
    images: list[dict[str, str]] = []
    faults: list[str] = []
    for picture, figure in gallery.drawn(pictures, faults):
        text = io.StringIO()
        plots.write_svg(figure, text)
        code = base64.b64encode(text.getvalue().encode("utf-8", "replace")).decode()
        images.append({"name": picture.name, "group": plots.file_word(picture.group), "image": code})
    return images, faults


def _html(overview: dict[str, Any], packed: Sequence[str], pictures: Sequence[dict[str, str]]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    style = _read("static/style.css")
    script = "\n".join(["(() => {", '"use strict";', *(_read(f"static/{name}.js") for name in SCRIPTS), "})();"])
    katex = _read("vendor/katex.min.js")
    environment = Environment(
        loader=PackageLoader("scorebench.report.page", "static"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html.j2").render(
        policy=policy(scripts=(katex, script), styles=(style,)),
        style=Markup(style),
        katex=Markup(katex),
        script=Markup(script),
        overview=Markup(as_data(overview)),
        packed=packed,
        pictures=pictures,
        **overview,
    )
    return html.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair in a name is no text


def policy(scripts: Sequence[str], styles: Sequence[str]) -> str:
    """The page's Content-Security-Policy: these scripts and styles run, and nothing else; nothing is fetched."""
    allowed_scripts = " ".join(map(_hash, scripts))
    allowed_styles = " ".join(map(_hash, styles))
    return (
        f"default-src 'none'; script-src {allowed_scripts}; style-src {allowed_styles}; img-src data:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def as_data(value: Any) -> str:
    """Plain data as JSON that can stand in a script element: no text in it can end the element."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c")


def _read(name: str) -> str:
    return files("scorebench.report.page").joinpath(name).read_text("utf-8")
