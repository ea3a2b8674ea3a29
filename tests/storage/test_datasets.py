"""Rows are read whole or not at all, and every complaint names the place and the way out."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorebench.api.errors import UserError
from scorebench.api.protocols import Source
from scorebench.storage.datasets import Row, Table, content_digest, load_table, read_rows, require_unique, scan
from tests.hub import Hub, parquet, serve

FIELDS = {"id": int, "text": str, "tests": list}
ROWS = [{"id": number, "text": f"t{number} é", "tests": ["a", "b"]} for number in (1, 2, 3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
TABLE = Table(
    file="toy.jsonl",
    repo="people/toy",
    revision="0123456789abcdef0123456789abcdef01234567",
    paths=("data/a.parquet", "plain/b.jsonl"),
    rows=3,
    fields=FIELDS,
    content=content_digest([Row(row, "") for row in ROWS], FIELDS),
)


def write(folder: Path, content: bytes, name: str = "toy.jsonl") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    "content",
    [
        LINES,
        LINES.rstrip(b"\n"),
        LINES.replace(b"\n", b"\r\n\n"),
        json.dumps(ROWS, indent=1).encode(),
        parquet([Row(row, "") for row in ROWS]),
    ],
    ids=["lines", "no newline at the end", "Windows and blank lines", "a JSON list", "parquet"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_every_format_gives_the_same_rows(tmp_path: Path, content: bytes, packed: bool) -> None:
    file = write(tmp_path, gzip.compress(content) if packed else content)
    assert [row.values for row in read_rows(file, FIELDS)] == ROWS


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        (b'{"id": 2, "text": "t"', "toy.jsonl, line 2 is cut off or no JSON"),
        (b'{"id": 2, "text": "\xff", "tests": []}', "toy.jsonl, line 2 is no UTF-8 text"),
        (b'{"id": 2, "text": "t"}', "line 2 has no field 'tests'"),
        (b'{"id": 2, "text": null, "tests": []}', "line 2 has None in the field 'text', which takes a text"),
        (b'{"id": true, "text": "t", "tests": []}', "line 2 has True in the field 'id', which takes a whole number"),
        (b'{"id": 2, "text": "t", "tests": [3]}', "line 2 has something other than text in the field 'tests'"),
        (b'{"id": 2, "text": "\\ud800", "tests": []}', "line 2 has something other than text in the field 'text'"),
        (b"[1, 2]", "line 2 is no JSON object"),
        (b'"words"', "line 2 is no JSON object"),
        (b"[" * 100_000, "line 2 is cut off or no JSON"),
        (b'{"id": ' + b"9" * 5000 + b', "text": "t", "tests": []}', "line 2 is cut off or no JSON"),
    ],
)
def test_a_bad_row_is_named_with_its_line_and_the_rest_can_be_read(tmp_path: Path, bad: bytes, complaint: str) -> None:
    first, _, third = LINES.splitlines(keepends=True)
    content = first + bad + b"\n" + third
    with pytest.raises(UserError) as caught:
        read_rows(write(tmp_path, content), FIELDS)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
    good = [row.values["id"] for row in scan(content, "toy.jsonl", FIELDS) if isinstance(row, Row)]
    assert good == [1, 3]


@given(st.binary(max_size=200))
def test_no_content_whatever_raises_anything_but_a_complaint(content: bytes) -> None:
    try:
        rows = list(scan(content, "f", FIELDS))
    except UserError as error:
        rows = [error]
    assert all(isinstance(row, Row | UserError) for row in rows)


@given(st.integers(0, 2**32), st.data())
def test_a_cut_file_is_never_taken_for_a_whole_one(seed: int, data: st.DataObject) -> None:
    whole = {"lines": LINES, "list": json.dumps(ROWS).encode(), "parquet": parquet([Row(row, "") for row in ROWS])}
    content = whole[data.draw(st.sampled_from(sorted(whole)))]
    cut = content[: seed % (len(content) - 1)]
    try:
        rows = [row for row in scan(cut, "f", FIELDS) if isinstance(row, Row)]
    except UserError:
        rows = []
    assert len(rows) < 3


@pytest.mark.parametrize("kept", [0, 5, 30, -1])
def test_a_truncated_gzip_is_one_sentence(tmp_path: Path, kept: int) -> None:
    file = write(tmp_path, gzip.compress(LINES)[:kept] if kept else b"\x1f\x8b", "toy.jsonl.gz")
    with pytest.raises(UserError, match=r"toy\.jsonl\.gz is damaged or was cut off .*: copy or download it again\.$"):
        read_rows(file, FIELDS)


def test_a_folder_is_labelled_by_the_digest_of_the_uncompressed_bytes(tmp_path: Path) -> None:
    write(tmp_path, gzip.compress(LINES), "toy.jsonl.gz")
    rows, label = load_table(TABLE, Source("folder", tmp_path))
    assert [row.values for row in rows] == ROWS
    assert label == "folder:" + hashlib.sha256(LINES).hexdigest()[:8]
    assert rows[1].where == "toy.jsonl.gz, line 2"


def test_a_folder_without_the_file_or_with_too_few_rows_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not hold toy\.jsonl, plain or as toy\.jsonl\.gz: .* with --data\."):
        load_table(TABLE, Source("folder", tmp_path))
    with pytest.raises(UserError, match=r"There is no folder .*nowhere: .* with --data\."):
        load_table(TABLE, Source("folder", tmp_path / "nowhere"))
    write(tmp_path, LINES[: LINES.index(b"\n") + 1])
    with pytest.raises(UserError, match=r"has 1 rows where the benchmark has 3: .* with --data\."):
        load_table(TABLE, Source("folder", tmp_path))


def test_two_rows_of_one_id_are_both_named(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path, LINES + LINES), FIELDS)
    with pytest.raises(UserError, match=r"toy\.jsonl, line 4 has the id 1 of toy\.jsonl, line 1"):
        require_unique(rows, "id")


def test_the_content_digest_knows_every_field_of_every_row_and_no_order() -> None:
    rows = [Row(row, "") for row in ROWS]
    assert content_digest(rows[::-1], FIELDS) == TABLE.content
    for index, field in [(0, "id"), (1, "text"), (2, "tests")]:
        changed = [Row({**row, field: [row[field]]} if number == index else row, "") for number, row in enumerate(ROWS)]
        assert content_digest(changed, FIELDS) != TABLE.content


# The hub --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    toy = Hub()
    toy.publish(TABLE, [parquet([Row(row, "") for row in ROWS[:2]]), json.dumps(ROWS[2]).encode()])
    with serve(toy):
        point_at(toy.url, tmp_path / "cache", monkeypatch)
        yield toy


def point_at(url: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT and HF_HOME do at the start of a process."""
    monkeypatch.setenv("HF_ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))


HUB = Source("hub")


def test_the_hub_is_asked_once_and_then_its_cache(hub: Hub) -> None:
    rows, label = load_table(TABLE, HUB)
    assert [row.values for row in rows] == ROWS
    assert label == "hub"
    asked = len(hub.requests)
    assert asked
    load_table(TABLE, HUB)
    assert len(hub.requests) == asked


def test_offline_the_cache_serves_and_nothing_is_asked(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"offline mode is enabled.*with --data\.$"):
        load_table(TABLE, HUB)
    assert not hub.requests
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    load_table(TABLE, HUB)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert len(load_table(TABLE, HUB)[0]) == 3


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"revision": "f" * 40}, "The hub does not have revision ffff"),
        ({"paths": ("data/z.parquet",)}, r"The hub does not have data/z\.parquet of people/toy at revision 0123"),
        ({"repo": "people/gone"}, "The hub does not have the dataset people/gone"),
        ({"content": "0" * 64}, "are not the published ones"),
        ({"rows": 4}, "has 3 rows where the benchmark has 4"),
    ],
)
def test_what_the_hub_lacks_or_has_changed_is_one_sentence(hub: Hub, change: dict, complaint: str) -> None:
    table = Table(**{**vars(TABLE), **change})
    with pytest.raises(UserError, match=complaint) as caught:
        load_table(table, HUB)
    assert_way_out(caught.value)


def test_bytes_other_than_the_announced_ones_are_refused_until_they_are_deleted(hub: Hub) -> None:
    hub.altered = True
    complaint = [complaint_of(TABLE) for _ in range(2)][-1]
    assert "is not the file that the hub announced: delete " in complaint
    hub.altered = False
    follow(complaint)
    assert len(load_table(TABLE, HUB)[0]) == 3


def test_rows_other_than_the_published_ones_are_refused_until_the_cache_is_deleted(hub: Hub) -> None:
    whole = dict(hub.files)
    hub.publish(TABLE, [parquet([Row({**row, "text": "other"}, "") for row in ROWS[:2]]), json.dumps(ROWS[2]).encode()])
    complaint = [complaint_of(TABLE) for _ in range(2)][-1]
    assert "are not the published ones" in complaint
    hub.files = whole
    follow(complaint)
    assert len(load_table(TABLE, HUB)[0]) == 3


def test_a_cut_download_is_one_sentence_and_leaves_nothing_for_the_next_time(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    hub.cut = 100
    with pytest.raises(UserError, match=r"a\.parquet of people/toy could not be fetched") as caught:
        load_table(TABLE, HUB)
    assert_way_out(caught.value)
    hub.cut = None
    assert len(load_table(TABLE, HUB)[0]) == 3


def test_without_a_network_nothing_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_patience(seconds: float) -> None:
        raise AssertionError(f"slept {seconds} s")

    with serve(Hub()) as gone:
        pass
    point_at(gone.url, tmp_path / "cache", monkeypatch)
    monkeypatch.setattr("time.sleep", no_patience)
    with pytest.raises(UserError, match=r"could not be fetched from the hub .*refused") as caught:
        load_table(TABLE, HUB)
    assert_way_out(caught.value)


def complaint_of(table: Table) -> str:
    with pytest.raises(UserError) as caught:
        load_table(table, HUB)
    assert_way_out(caught.value)
    return str(caught.value)


def follow(complaint: str) -> None:
    """Deletes what a complaint says to delete."""
    [path] = re.findall("delete (.*) and load again", complaint)
    if Path(path).is_dir():
        shutil.rmtree(path)
    else:
        Path(path).unlink()


def assert_way_out(error: UserError) -> None:
    assert str(error).endswith("holds toy.jsonl with --data.") or str(error).endswith("its folder with --data.")
    assert "\n" not in str(error)
