"""Files of other tools: what is read from each, found by content, and one sentence about what cannot be read.

files/lm-eval and files/evalplus were written by lm-eval and evalplus themselves (made_by). The rows of the batch API
are made with the types of OpenAI's package. BigCode's harness is on no package index: its files are written here as it
documents them.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scorebench.api.errors import UserError
from scorebench.api.types import Problem
from scorebench.storage.transcripts import Transcripts, read_transcripts
from tests.formats.made_by.lm_eval_samples import QUESTIONS, REPLIES

FILES = Path(__file__).parent / "files"
SUMS = tuple(Problem(f"sums/{100 + n}", text, answer) for n, (text, answer) in enumerate(QUESTIONS.items()))
OWN = (Problem("Own/0", "def one():\n", None), Problem("Own/1", "def two():\n", None))


def told(found: Transcripts) -> list[tuple[str, int, list[str]]]:
    assert not found.complaints
    return [(t.problem.id, t.episode.sample, [a.reply.text for a in t.episode.attempts]) for t in found.read]


def write(file: Path, *rows: Any) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


# lm-eval --------------------------------------------------------------------------------------------------------------


def samples_file() -> Path:
    (file,) = (FILES / "lm-eval").glob("samples_*.jsonl")
    return file


def test_lm_eval_s_samples_are_read_once_though_every_filter_has_its_rows() -> None:
    a, b, c = REPLIES
    expected = [("sums/100", [a], [b]), ("sums/101", [b], [c]), ("sums/102", [c], [a])]
    found = told(read_transcripts(samples_file(), SUMS))
    assert sorted(found) == [(name, sample, texts) for name, *both in expected for sample, texts in enumerate(both)]


def test_a_problem_is_found_by_its_text_and_not_by_lm_eval_s_count(tmp_path: Path) -> None:
    numbered = tuple(Problem(f"sums/{2 - n}", text, answer) for n, (text, answer) in enumerate(QUESTIONS.items()))
    assert told(read_transcripts(samples_file(), numbered))[0][0] == "sums/2", "doc_id 0 is the first question"
    others = (Problem("0", "What is 1 + 1?", "2"),)
    found = read_transcripts(samples_file(), others)
    assert not found.read
    assert "holds the name or text of no problem" in str(found.complaints[0])


def test_a_name_decides_between_problems_of_the_same_text(tmp_path: Path) -> None:
    twins = (Problem("a", "What is 2 + 2?", "4"), Problem("b", "What is 2 + 2?", "4"))
    row: Any = {"doc_id": 0, "doc": {"question": "What is 2 + 2?", "id": "b"}, "resps": [["4"]]}
    assert told(read_transcripts(write(tmp_path / "x.jsonl", row), twins)) == [("b", 0, ["4"])]
    del row["doc"]["id"]
    (complaint,) = read_transcripts(write(tmp_path / "x.jsonl", row), twins).complaints
    assert "holds the text of a and of b, which is the same" in str(complaint)


def test_log_likelihoods_are_no_replies(tmp_path: Path) -> None:
    row = {"doc_id": 0, "doc": {"question": "What is 2 + 2?"}, "resps": [[[-1.5, False]], [[-0.5, True]]]}
    (complaint,) = read_transcripts(write(tmp_path / "x.jsonl", row), SUMS).complaints
    assert "holds no generated text" in str(complaint)


# Chats ----------------------------------------------------------------------------------------------------------------


def chat(*texts: Any, **fields: Any) -> dict[str, Any]:
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)], **fields}


@pytest.mark.parametrize(
    ("row", "replies"),
    [
        (chat("Solve: What is 2 + 2?", "5", "Again.", "4"), ["5", "4"]),
        (chat("Solve it.", "5", id="sums/100"), ["5"]),
        (chat("Solve it.", "5", task_id=100), ["5"]),
        (chat([{"type": "text", "text": "What is\n2 + 2?"}], [{"type": "text", "text": "5"}]), ["5"]),
        (chat("What is 1 + 1?", "2", "What is 2 + 2?", "5", "Again.", "4"), ["5", "4"]),
        (chat("What is 1 + 1?", "2", "What is 2 + 2?", "5", id="sums/100"), ["5"]),
        (chat("What is 3 * 5?", "15", "What is 2 + 2?", "5", id="SUMS/100"), ["5"]),
        (chat("What is 2 + 2?", "5", id=101), ["5"]),
        ({"messages": [{"role": "system", "content": "Be brief."}, *chat("What is 2 + 2?", "4")["messages"]]}, ["4"]),
    ],
)
def test_the_answers_behind_the_problem_are_the_attempts_of_a_chat(
    tmp_path: Path, row: dict[str, Any], replies: list[str]
) -> None:
    found = read_transcripts(write(tmp_path / "x.jsonl", row), SUMS)
    assert told(found) == [("sums/100", 0, replies)]
    assert found.read[0].values == row


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (chat("What is 2 + 2?"), "no message of the role 'assistant'"),
        (chat("What is 1 + 1?", "2"), "the name or text of no problem"),
        (chat("What is 12 + 2?", "14", id="x"), "answers 'x', which is no problem"),
        (chat("What is 2 + 2?", None), "None where a reply should be"),
        (chat("What is 1 + 1?", "2", "What is 2 + 2?"), "no reply behind the problem"),
        (chat("What is 2 + 2?", "4") | {"messages": "hello"}, "no list of messages"),
        ({"messages": ["hello"]}, "no list of messages"),
        ({"question": "What is 2 + 2?", "answer": "4"}, "its fields: 'question', 'answer'"),
        ({}, "its fields: none"),
        ({"task_id": "a", "prompt": "def a():", "test": "x", "entry_point": "a"}, "is a problem and holds no reply"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_with_what_it_holds(tmp_path: Path, row: Any, says: str) -> None:
    found = read_transcripts(write(tmp_path / "x.jsonl", row, chat("What is 3 * 5?", "15")), SUMS)
    (complaint,) = found.complaints
    assert str(complaint).startswith("x.jsonl, line 1 ")
    assert says in str(complaint)
    assert [t.problem.id for t in found.read] == ["sums/101"]


def test_a_message_that_calls_a_tool_is_no_attempt(tmp_path: Path) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}
    asked, answer = chat("What is 2 + 2?", "4")["messages"]
    row = {"messages": [asked, call, {"role": "tool", "content": "What is 3 * 5?", "tool_call_id": "1"}, answer]}
    assert told(read_transcripts(write(tmp_path / "x.jsonl", row), SUMS)) == [("sums/100", 0, ["4"])]


def test_the_longest_text_is_the_problem_s_and_it_stands_alone(tmp_path: Path) -> None:
    problems = (Problem("a", "1 + 1", "2"), Problem("b", "1 + 1 + 3", "5"))
    rows = [chat("What is 1 + 1 + 3?", "5"), chat("What is 1 + 1?", "2")]
    assert [t[0] for t in told(read_transcripts(write(tmp_path / "x.jsonl", *rows), problems))] == ["b", "a"]
    (complaint,) = read_transcripts(write(tmp_path / "y.jsonl", chat("What is 11 + 12?", "23")), problems).complaints
    assert "no problem" in str(complaint)


# OpenAI's batch API ---------------------------------------------------------------------------------------------------


def output(custom_id: str, *texts: str, status: int = 200, reason: Any = "stop") -> dict[str, Any]:
    from openai.types.chat import ChatCompletion, ChatCompletionMessage
    from openai.types.chat.chat_completion import Choice

    choices = [
        Choice(index=n, finish_reason=reason, message=ChatCompletionMessage(role="assistant", content=text))
        for n, text in enumerate(texts)
    ]
    body = ChatCompletion(id="chatcmpl-1", choices=choices, created=1, model="gpt-x", object="chat.completion")
    response = {"status_code": status, "request_id": "r", "body": body.model_dump(mode="json")}
    return {"id": "batch_req_1", "custom_id": custom_id, "response": response, "error": None}


def test_every_choice_of_a_batch_s_output_is_a_sample(tmp_path: Path) -> None:
    rows = [
        output("sums/100", "4", "5"),
        output("sums/101", "15"),
        output("sums/102-0", "2"),
        output("sums/102-1", "3"),
    ]
    found = read_transcripts(write(tmp_path / "x.jsonl", *rows), SUMS)
    assert told(found) == [
        ("sums/100", 0, ["4"]),
        ("sums/100", 1, ["5"]),
        ("sums/101", 0, ["15"]),
        ("sums/102", 0, ["2"]),
        ("sums/102", 1, ["3"]),
    ]
    assert found.read[0].values == {"id": "sums/100", "attempts": ["4"]}
    assert found.read[2].values == rows[1]


def test_a_reply_that_was_cut_off_is_counted_as_cut(tmp_path: Path) -> None:
    found = read_transcripts(write(tmp_path / "x.jsonl", output("sums/100", "4", reason="length")), SUMS)
    assert found.read[0].episode.attempts[0].reply.finish_reason == "length"


def test_outputs_of_the_responses_and_the_completions_endpoint(tmp_path: Path) -> None:
    parts = [{"type": "output_text", "text": "4"}]
    said = {"output": [{"type": "reasoning", "summary": []}, {"type": "message", "content": parts}]}
    rows = [{**output("sums/100"), "response": {"status_code": 200, "body": said}}]
    plain = {"choices": [{"text": "15", "finish_reason": "length"}]}
    rows += [{**output("sums/101"), "response": {"status_code": 200, "body": plain}}]
    found = read_transcripts(write(tmp_path / "x.jsonl", *rows), SUMS)
    assert told(found) == [("sums/100", 0, ["4"]), ("sums/101", 0, ["15"])]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({**output("sums/100"), "response": None, "error": {"code": "batch_expired"}}, "failed ({'code': 'batch_exp"),
        (output("sums/100", "4", status=429), "because its request failed"),
        (output("sums/100"), "without a choice"),
        (output("sums/7", "4"), "'sums/7', which is no problem"),
        ({"custom_id": "sums/100", "method": "POST", "url": "/v1/x", "body": {}}, "is a request of a batch"),
        (
            {**output("sums/100"), "response": {"status_code": 200, "body": {"choices": ["x"]}}},
            "None where a reply should be",
        ),
    ],
)
def test_a_request_without_a_reply_is_named(tmp_path: Path, row: Any, says: str) -> None:
    found = read_transcripts(write(tmp_path / "x.jsonl", row, output("sums/101", "15")), SUMS)
    (complaint,) = found.complaints
    assert says in str(complaint)
    assert len(found.read) == 1


# BigCode and evalplus -------------------------------------------------------------------------------------------------


def test_bigcode_s_generations_are_samples_in_the_benchmark_s_order(tmp_path: Path) -> None:
    file = tmp_path / "generations.json"
    file.write_text(json.dumps([["a", "b"], ["c"]]))
    assert told(read_transcripts(file, OWN)) == [("Own/0", 0, ["a"]), ("Own/0", 1, ["b"]), ("Own/1", 0, ["c"])]
    file.write_text(json.dumps([["a"], [None]], indent=1))
    found = read_transcripts(file, OWN)
    assert [str(complaint) for complaint in found.complaints] == [
        "generations.json, item 2, program 1 has None where a reply should be, a text: mend or remove it."
    ]
    file.write_text(json.dumps([["a"]] * 3))
    with pytest.raises(UserError, match="programs for 3 problems, in the form of BigCode"):
        read_transcripts(file, OWN)


def test_evalplus_s_folder_has_a_folder_a_problem_and_a_file_a_sample(tmp_path: Path) -> None:
    for name, samples in {"Own_0": 11, "Own_1": 2}.items():
        (tmp_path / "run" / name).mkdir(parents=True)
        for sample in range(samples):
            (tmp_path / "run" / name / f"{sample}.py").write_text(f"{name} {sample}")
    found = read_transcripts(tmp_path / "run", OWN)
    assert told(found) == [
        *(("Own/0", sample, [f"Own_0 {sample}"]) for sample in range(11)),
        *(("Own/1", sample, [f"Own_1 {sample}"]) for sample in range(2)),
    ]
    assert found.read[-1].values == {"task_id": "Own/1", "solution": "Own_1 1"}
    (tmp_path / "run" / "Own_1" / "1.py").write_bytes(b"\xff")
    (tmp_path / "run" / "Own_7").mkdir()
    (tmp_path / "run" / "Own_7" / "0.py").write_text("x")
    complaints = read_transcripts(tmp_path / "run", OWN).complaints
    assert [str(complaint).split(" ")[0] for complaint in complaints] == ["Own_1/1.py", "Own_7/0.py"]


PROGRAMS = {
    ("Own/0", 0): "def one():\n    return 1",
    ("Own/0", 1): "def one():\n    return 2",
    ("Own/1", 0): "def two():\n    return 2",
    ("Own/1", 1): "def two():\n    x = 2\n    return x",
}


@pytest.mark.parametrize(
    "written",
    [
        "programs",
        "programs.raw",
        "samples.jsonl",
        "samples.raw.jsonl",
        "samples_eval_results.json",
        "programs/eval_results.json",
    ],
)
def test_what_evalplus_itself_wrote_is_read(written: str) -> None:
    """Programs as a folder and as a file, sanitized and raw, and the results with the programs in them."""
    read = told(read_transcripts(FILES / "evalplus" / written, OWN))
    assert {(name, sample): text.strip() for name, sample, (text,) in read} == PROGRAMS
    assert len(read) == 4


def test_evalplus_s_results_hold_the_programs_too(tmp_path: Path) -> None:
    row = {"task_id": "Own/0", "solution": "x", "base_status": "pass", "plus_status": "fail"}
    file = tmp_path / "samples_eval_results.json"
    file.write_text(json.dumps({"date": "2025-01-01", "hash": "0", "eval": {"Own/0": [row]}}))
    assert told(read_transcripts(file, OWN)) == [("Own/0", 0, ["x"])]


# What is no transcript ------------------------------------------------------------------------------------------------


def test_a_file_is_known_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    shutil.copyfile(samples_file(), tmp_path / "generations.json")
    assert len(told(read_transcripts(tmp_path / "generations.json", SUMS))) == 6


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"id,reply\n1,4\n", "is no JSON: it begins with 'id,reply"),
        (b"\x89PNG\r\n\x1a\n", "is no JSON: it begins with"),
        (json.dumps({"a": 1, "b": [2]}, indent=1).encode(), "is a JSON object with the fields 'a', 'b'"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_what_was_found(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.jsonl").write_bytes(content)
    with pytest.raises(UserError) as raised:
        read_transcripts(tmp_path / "x.jsonl", SUMS)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


def test_lm_eval_s_figures_and_folders_are_refused_with_the_file_to_give(tmp_path: Path) -> None:
    (results,) = (FILES / "lm-eval").glob("results_*.json")
    with pytest.raises(UserError, match=r"holds lm-eval's figures and no replies: give its samples_\*"):
        read_transcripts(results, SUMS)
    with pytest.raises(UserError, match=r"name one of its files, such as .*samples_sums"):
        read_transcripts(FILES / "lm-eval", SUMS)


def test_a_folder_without_transcripts_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"neither a run's folder nor evalplus's folder .* it holds notes\.txt"):
        read_transcripts(tmp_path, SUMS)


def test_a_zip_file_that_is_no_log_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.eval", "w") as file:
        file.writestr("notes.txt", "hello")
    with pytest.raises(UserError, match=r"is a zip file and no log of Inspect's: it holds notes\.txt"):
        read_transcripts(tmp_path / "x.eval", SUMS)


# Damage of every kind -------------------------------------------------------------------------------------------------

JUNK = (None, 3, "x", [], {}, [1], {"a": 1}, [["x"]], True, "\ud800")


def damaged(value: Any) -> Iterator[Any]:
    """The value with junk in the place of each of its parts, one after the other."""
    yield from JUNK
    if isinstance(value, dict):
        for name, part in value.items():
            yield {other: inner for other, inner in value.items() if other != name}
            yield from ({**value, name: bad} for bad in damaged(part))
    if isinstance(value, list):
        for place, part in enumerate(value):
            yield from ([*value[:place], bad, *value[place + 1 :]] for bad in damaged(part))


WHOLE = {
    "lm-eval": {"doc_id": 0, "doc": {"question": "What is 2 + 2?", "id": 100}, "resps": [["4", "5"]], "filter": "none"},
    "chat": chat([{"type": "text", "text": "What is 2 + 2?"}], "4", id="sums/100"),
    "batch": output("sums/100", "4", "5"),
    "responses": {
        "custom_id": "sums/100",
        "response": {
            "status_code": 200,
            "body": {
                "incomplete_details": {"reason": "max_output_tokens"},
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "4"}]}],
            },
        },
    },
    "results": {"hash": "0", "eval": {"sums/100": [{"task_id": "sums/100", "solution": "x"}]}},
    "generations": [["4"], ["15"]],
    "log": {"eval": {"task": "sums"}, "samples": [{"id": 1}]},
}


@pytest.mark.parametrize("name", WHOLE)
def test_no_damage_is_more_than_a_complaint(tmp_path: Path, name: str) -> None:
    file = tmp_path / "x.jsonl"
    kept = 0
    for value in damaged(WHOLE[name]):
        file.write_text(json.dumps(value))
        try:
            found = read_transcripts(file, SUMS)
        except UserError as refusal:
            found = Transcripts([], [refusal])
        kept += len(found.read)
        assert all("\n" not in str(complaint) and len(str(complaint)) < 500 for complaint in found.complaints)
    assert kept or name == "log"
