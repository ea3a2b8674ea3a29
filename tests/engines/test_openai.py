"""The openai engine asks what it should, and loses nothing to an endpoint that fails."""

from __future__ import annotations

import asyncio
import io
import json
import resource
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any

import pytest

from scorebench.api.errors import EngineError, PromptTooLongError, UserError
from scorebench.api.protocols import ModelSpec
from scorebench.api.types import Episode, Message, Problem, Reply, Sampling
from scorebench.dialogue.player import EpisodeRequest, Player
from scorebench.engines.remote.endpoint import Options, address_and_key, asked_wait, place
from scorebench.engines.remote.openai import OpenAIEngine, open_engine
from scorebench.methods.base import Base
from tests.failing_endpoint import (
    Action,
    Call,
    FailingEndpoint,
    answers,
    completion,
    cuts,
    hangs,
    refuses,
    resets,
    says,
    sends,
)
from tests.toy import Toy

HELLO: tuple[Message, ...] = ({"role": "user", "content": "hello"},)
GREEDY = Sampling(max_tokens=24)

Start = Callable[..., FailingEndpoint]


@pytest.fixture(autouse=True)
def _no_other_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("scorebench.engines.remote.openai._FIRST_PAUSE", 0.01)


@pytest.fixture
def endpoint() -> Iterator[FailingEndpoint]:
    with FailingEndpoint(lambda call: answers).serving() as started:
        yield started


def engine(
    endpoint: FailingEndpoint, places: int = 4, system_prompt: str | None = None, **options: Any
) -> OpenAIEngine:
    return OpenAIEngine("m", Options(base_url=endpoint.url, **options), places, system_prompt)


def ask(made: OpenAIEngine, sampling: Sampling = GREEDY, seed: int = 1) -> Reply:
    return asyncio.run(made.reply((), HELLO, sampling, seed))


def play(made: OpenAIEngine, count: int) -> list[Episode]:
    """Dialogues of two turns on so many problems of the toy task."""
    jobs = [EpisodeRequest(Problem(str(i), f"say {i}", "ascii"), 0) for i in range(count)]
    player = Player(Base(), Toy(), made, GREEDY, 2, 7, ThreadPoolExecutor(2))

    async def all_of_them() -> list[Episode]:
        return [episode async for episode in player.episodes(jobs, made.at_once)]

    return asyncio.run(all_of_them())


def first_then(first: Action, then: Action = answers) -> Callable[[Call], Action]:
    return lambda call: then if call.tries else first


# What is asked --------------------------------------------------------------------------------------------------------


def test_every_parameter_is_sent_and_the_system_prompt_goes_first(endpoint: FailingEndpoint) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=33, stop=("END", "\n\n"))
    made = engine(endpoint, system_prompt="be brief", body={"reasoning_effort": "low"})
    ask(made, sampling, seed=2**62 + 5)
    ask(made)
    warm, greedy = (call.body for call in endpoint.calls)
    assert endpoint.calls[0].key == "Bearer none"
    assert warm == {
        "model": "m",
        "messages": [{"role": "system", "content": "be brief"}, *HELLO],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 33,
        "stop": ["END", "\n\n"],
        "seed": 5,
        "reasoning_effort": "low",
    }
    assert (greedy["temperature"], greedy["top_p"]) == (0.0, 1.0)
    assert "stop" not in greedy


@pytest.mark.parametrize("sampling", [Sampling(top_k=5), Sampling(repetition_penalty=1.1)])
def test_what_the_protocol_does_not_have_is_refused_and_not_forgotten(
    endpoint: FailingEndpoint, sampling: Sampling
) -> None:
    with pytest.raises(UserError, match="top-k"):
        ask(engine(endpoint), sampling)
    assert not endpoint.calls


def test_a_model_that_knows_only_the_other_name_of_max_tokens(endpoint: FailingEndpoint) -> None:
    wrong = refuses(400, "Use 'max_completion_tokens' instead.", code="unsupported_parameter", param="max_tokens")
    endpoint.plan = lambda call: wrong if "max_tokens" in call.body else answers
    episodes = play(engine(endpoint), 8)
    assert all(a.verdict.passed for e in episodes for a in e.attempts)
    assert endpoint.calls[-1].body["max_completion_tokens"] == 24


def test_the_second_turn_holds_the_first(endpoint: FailingEndpoint) -> None:
    endpoint.plan = lambda call: says(completion(f"answer {call.turn}"))
    (episode,) = play(engine(endpoint), 1)
    assert [m["content"] for m in endpoint.calls[1].messages] == ["say 0", "answer 1", "again"]
    assert [a.reply.text for a in episode.attempts] == ["answer 1", "answer 2"]


# What comes back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "text", "reason"),
    [
        (completion("yes"), "yes", "stop"),
        (completion("cut of", "length"), "cut of", "length"),
        (completion(None, "length"), "", "length"),  # a reasoning model that thought to the end
        (completion(""), "", "stop"),
        (completion(None, refusal="I will not."), "I will not.", "stop"),
        (completion("half \ud83d of a pair"), "half ? of a pair", "stop"),
        *((completion("cut", end), "cut", "length") for end in ("MAX_TOKENS", "max_tokens", "model_length")),
        (completion([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab", "stop"),
        (completion([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "b"}]), "b", "stop"),
        (completion("4", reasoning_content="2 and 2"), "4", "stop"),
        (completion(None, reasoning_content="2 and 2"), "<think>2 and 2</think>", "stop"),
        (completion(None, "length", reasoning_content="2 and"), "<think>2 and", "length"),
    ],
)
def test_replies_and_how_they_ended(endpoint: FailingEndpoint, answer: Any, text: str, reason: str) -> None:
    endpoint.plan = lambda call: says(answer)
    reply = ask(engine(endpoint))
    assert (reply.text, reply.finish_reason) == (text, reason)
    assert (reply.tokens, reply.prompt_tokens, reply.computed_tokens) == (7, 10, 6)


def test_a_reply_that_a_filter_withheld_is_an_error_at_once(endpoint: FailingEndpoint) -> None:
    endpoint.plan = lambda call: says(completion("", "content_filter"))
    with pytest.raises(EngineError, match="content filter"):
        ask(engine(endpoint))
    assert len(endpoint.calls) == 1


LIMIT = 100  # tokens of the endpoint's context; a message has as many tokens as characters

# How servers say that a prompt of P tokens and a bound of B do not fit into a context of L.
TOO_LONG = {
    "openai": "This model's maximum context length is {L} tokens. However, you requested {T} tokens "
    "({P} in the messages, {B} in the completion). Please reduce the length of the messages or completion.",
    "vllm": "'max_tokens' or 'max_completion_tokens' is too large: {B}. This model's maximum context length is "
    "{L} tokens and your request has {P} input tokens ({B} > {L} - {P}).",
    "sglang": "Requested token count exceeds the model's maximum context length of {L} tokens. You requested a "
    "total of {T} tokens: {P} tokens from the input messages and {B} tokens for the completion.",
    "tgi": "`inputs` tokens + `max_new_tokens` must be <= {L}. Given: {P} `inputs` tokens and {B} `max_new_tokens`",
    "only the limit": "This model's maximum context length is {L} tokens.",
    "nothing": "The context window is exceeded.",
}


def with_context(words: str) -> Callable[[Call], Action]:
    """A server whose context is LIMIT tokens."""

    def plan(call: Call) -> Action:
        prompt = sum(len(m["content"]) for m in call.messages)
        bound = call.body["max_tokens"]
        if prompt + bound > LIMIT:
            return refuses(400, words.format(L=LIMIT, P=prompt, B=bound, T=prompt + bound))
        return says(completion("x" * bound, "length", prompt=prompt, sampled=bound))

    return plan


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_reply_is_as_long_as_the_context_allows(endpoint: FailingEndpoint, words: str, capsys: Any) -> None:
    endpoint.plan = with_context(TOO_LONG[words])
    made = engine(endpoint)
    reply = asyncio.run(made.reply((), ({"role": "user", "content": "p" * 60},), Sampling(max_tokens=41), 0))
    assert reply.finish_reason == "length"
    assert reply.tokens == len(reply.text) == (40 if words != "nothing" else 20)
    assert "replies are shortened" in capsys.readouterr().err


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_prompt_that_does_not_fit_alone_is_an_error_of_its_own(endpoint: FailingEndpoint, words: str) -> None:
    """But a dialogue that its own replies made too long is cut off, as in a local engine."""
    endpoint.plan = with_context(TOO_LONG[words])
    question: tuple[Message, ...] = ({"role": "user", "content": "p" * 120},)
    with pytest.raises(PromptTooLongError, match="the prompt alone is longer"):
        asyncio.run(engine(endpoint).reply((), question, GREEDY, 0))
    dialogue: tuple[Message, ...] = (*HELLO, {"role": "assistant", "content": "r" * 120}, *HELLO)
    assert asyncio.run(engine(endpoint).reply((), dialogue, GREEDY, 0)) == Reply("", finish_reason="length")


def test_a_context_that_is_named_is_used_where_the_endpoint_names_none(endpoint: FailingEndpoint) -> None:
    endpoint.plan = with_context(TOO_LONG["nothing"])
    made = OpenAIEngine("m", Options(base_url=endpoint.url), 4, context=LIMIT)
    reply = asyncio.run(made.reply((), ({"role": "user", "content": "p" * 60},), Sampling(max_tokens=50), 0))
    assert reply.tokens == 40


def test_a_prompt_that_an_endpoint_has_cut_is_found_out_where_the_context_is_named(endpoint: FailingEndpoint) -> None:
    endpoint.plan = lambda call: says(completion(prompt=LIMIT))
    made = OpenAIEngine("m", Options(base_url=endpoint.url), 4, context=LIMIT)
    with pytest.raises(PromptTooLongError):
        ask(made)


def test_the_account_is_what_the_endpoint_reports(endpoint: FailingEndpoint) -> None:
    endpoint.plan = lambda call: cuts if call.tries == 0 else answers
    made = engine(endpoint, price_in=1.0, price_cached=0.25, price_out=10.0)
    play(made, 50)
    assert made.account["requests"] == 200
    assert made.account["prompt_tokens"] == 1000
    assert made.account["cached_tokens"] == 400
    assert made.account["completion_tokens"] == 700
    assert made.account["dollars"] == pytest.approx((600 * 1 + 400 * 0.25 + 700 * 10) / 1e6)


# What may pass --------------------------------------------------------------------------------------------------------

PASSING = {
    "429": refuses(429),
    "500": refuses(500),
    "503 without JSON": lambda handler, call: handler.send(503, b"<html>busy</html>", {"Content-Type": "text/html"}),
    "408": refuses(408),
    "reset": resets,
    "cut": cuts,
    "no JSON": sends(b'{"choices": [{"mess'),
    "nothing": sends(b""),
    "null": sends(b"null"),
    "no UTF-8": sends(b'{"choices": "\xff"}'),
    "brackets": sends(b"[" * 100_000),
    "a page": sends(b"<html>welcome</html>", "text/html"),
    "another thing": says({"error": {"message": "upstream"}}),
    "no choices": says({"choices": []}),
    "no message": says({"choices": [{"finish_reason": "stop"}]}),
    "a number": says({"choices": [{"finish_reason": "stop", "message": {"content": 5}}]}),
    "no end": says(completion("half", None)),
    "no content": says(completion(None)),
    "choices as an object": says({"choices": {}}),
    "a count of 400 digits": says(completion() | {"usage": {"prompt_tokens": 10**400, "completion_tokens": 7}}),
    "a number of 5,000 digits": sends(b'{"choices": [], "usage": {"prompt_tokens": ' + b"9" * 5000 + b"}}"),
    "content of numbers": says(completion([{"type": "text", "text": 5}])),
    "a stream that breaks off": sends(b'data: {"choices": [{"delta": {"content": "ha"}}]}\n\n', "text/event-stream"),
    "slow": hangs,
}


@pytest.mark.parametrize("failure", list(PASSING))
def test_what_may_pass_is_tried_again(endpoint: FailingEndpoint, failure: str) -> None:
    endpoint.plan = first_then(PASSING[failure])
    made = engine(endpoint, timeout=1 if failure == "slow" else 60)
    assert ask(made).finish_reason == "stop"
    assert len(endpoint.calls) == 2 or (failure == "slow" and len(endpoint.calls) > 2)  # this machine may be slow too


@pytest.mark.parametrize("failure", list(PASSING))
def test_what_does_not_pass_is_an_error_that_can_be_written(endpoint: FailingEndpoint, failure: str) -> None:
    endpoint.plan = lambda call: PASSING[failure]
    made = engine(endpoint, timeout=0.3 if failure == "slow" else 60, patience=0.05)
    with pytest.raises(EngineError) as raised:
        ask(made)
    assert made.where in str(raised.value)
    assert str(raised.value).encode().count(b"\n") == 0


def _bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * 1_000_000) for _ in range(400)) + packer.flush()


_BOMB = _bomb()  # gzip of 400 MB


def endless(start: bytes, encoding: str = "identity", status: int = 200) -> Action:
    """An answer that never ends, or that unfolds to 400 MB."""

    def send(handler: Any, call: Call) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Encoding", encoding)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        if encoding == "gzip":
            handler.wfile.write(_BOMB)
            return
        try:
            for _ in range(4000):
                handler.wfile.write(start + b" " * 100_000)
        except OSError:
            handler.wfile = io.BytesIO()  # the client has gone, as it should

    return send


@pytest.mark.parametrize(
    "answer", [endless(b""), endless(b"", "gzip"), endless(b"", status=500), endless(b"", "gzip", 500)]
)
def test_a_body_without_end_is_an_error_and_takes_little_memory(endpoint: FailingEndpoint, answer: Action) -> None:
    endpoint.plan = lambda call: answer
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EngineError):
        ask(engine(endpoint, patience=0.0))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB; it was 1.7 GB


@pytest.mark.parametrize("answer", [completion("x" * 1_000_000), completion("yes", sampled=25)])
def test_a_reply_that_is_longer_than_it_can_be_is_an_error(endpoint: FailingEndpoint, answer: Any) -> None:
    endpoint.plan = lambda call: says(answer)
    with pytest.raises(EngineError, match="at most 24 tokens"):
        ask(engine(endpoint))


# What an endpoint does not take ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        {"message": "Unrecognized request argument supplied: seed", "param": None},
        {"message": "not supported", "param": "seed"},
        {"message": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]},
    ],
)
def test_a_seed_that_is_refused_is_left_out_and_that_is_said(
    endpoint: FailingEndpoint, words: Any, capsys: Any
) -> None:
    endpoint.plan = lambda call: refuses(422, **words) if "seed" in call.body else answers
    assert len(play(engine(endpoint), 20)) == 20
    assert sum("seed" in call.body for call in endpoint.calls) <= 4
    assert "it is left out from now on" in capsys.readouterr().err


def test_what_would_change_the_replies_is_left_out_only_where_it_is_asked_for(endpoint: FailingEndpoint) -> None:
    wrong = refuses(400, "Unsupported value: 'temperature' does not support 0", param="temperature")
    endpoint.plan = lambda call: wrong if call.body.get("temperature", 1) != 1 else answers
    with pytest.raises(UserError, match="--model-args omit=temperature"):
        ask(engine(endpoint))
    assert ask(engine(endpoint, omit="temperature+top_p")).text
    assert not {"temperature", "top_p"} & endpoint.calls[-1].body.keys()
    with pytest.raises(ValueError, match="'model' is none of"):
        Options(omit=("model",))
    spec = ModelSpec("m", "m", options=Options(base_url=endpoint.url, omit=("top_p", "seed")))
    assert open_engine.identify(spec)["omit"] == ["seed", "top_p"]


@pytest.mark.parametrize("asked", [True, False])
def test_an_endpoint_that_only_streams(endpoint: FailingEndpoint, asked: bool) -> None:
    """It refuses all else, or answers with a stream whatever is asked for."""
    parts = [{"choices": [{"index": 0, "delta": {"content": part}}]} for part in ("Final ", "answer")]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    usage = {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}
    lines = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in (*parts, end, usage)) + "data: [DONE]\n\n"
    stream = sends(lines.encode(), "text/event-stream")
    endpoint.plan = lambda call: (
        refuses(400, "This model only supports streaming; set stream=true.")
        if asked and not call.body.get("stream")
        else stream
    )
    made = engine(endpoint)
    for _ in range(2):
        reply = ask(made)
        assert (reply.text, reply.finish_reason, reply.tokens) == ("Final answer", "length", 3)
    assert len(endpoint.calls) == (3 if asked else 2)


def test_a_wait_that_was_asked_for_is_kept(endpoint: FailingEndpoint) -> None:
    times: list[float] = []

    def plan(call: Call) -> Action:
        times.append(time.monotonic())
        return answers if call.tries else refuses(429, headers={"Retry-After": "1"})

    endpoint.plan = plan
    ask(engine(endpoint))
    assert times[1] - times[0] >= 1
    endpoint.plan = lambda call: refuses(429, headers={"Retry-After": "3600"})
    with pytest.raises(EngineError, match="tries: 1"):  # it will not be open again in time
        ask(engine(endpoint))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "200", "retry-after": "2"}, 0.2),
        ({"retry-after": formatdate(1_000_100, usegmt=True)}, 100),
        ({"retry-after": formatdate(999_900, usegmt=True)}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "inf"}, 0),
        ({"retry-after": "-3"}, 0),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scorebench.engines.remote.endpoint.time.time", lambda: 1_000_000.0)
    assert asked_wait(headers) == seconds


# What will not pass ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "says_"),
    [
        (refuses(401, "Incorrect API key"), "OPENAI_API_KEY"),
        (refuses(403, "not for you"), "OPENAI_API_KEY"),
        (refuses(404, "The model `m` does not exist"), "no chat model 'm'"),
        (refuses(402, "pay first"), "nothing left to spend"),
        (refuses(429, "You exceeded your quota", code="insufficient_quota"), "nothing left to spend"),
        (refuses(400, "temperature may only be 1", param="temperature"), "does not take the temperature"),
    ],
)
def test_a_mistake_of_the_user_ends_the_run_at_once(endpoint: FailingEndpoint, failure: Action, says_: str) -> None:
    endpoint.plan = lambda call: failure
    with pytest.raises(UserError, match=says_):
        play(engine(endpoint, places=4), 500)
    assert len(endpoint.calls) <= 8


def test_a_request_that_is_refused_costs_its_own_dialogue_only(endpoint: FailingEndpoint) -> None:
    bad = refuses(400, "I do not like 'say 3'")
    endpoint.plan = lambda call: bad if call.messages[0]["content"] == "say 3" else answers
    episodes = play(engine(endpoint), 40)
    failed = [e for e in episodes if any(a.verdict.outcome == "error" for a in e.attempts)]
    assert [e.problem_id for e in failed] == ["3"]
    assert len(endpoint.calls) == 79
    assert "I do not like" in failed[0].attempts[0].verdict.detail


def test_an_endpoint_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        address_and_key(Options())
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:8000/v1")
    assert address_and_key(Options()) == ("http://localhost:8000/v1", "none")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1\n")
    assert address_and_key(Options()) == ("http://localhost:8000/v1", "sk-1")
    assert address_and_key(Options(base_url="https://other/v1"))[0] == "https://other/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000/v1")
    with pytest.raises(UserError, match="no URL"):
        address_and_key(Options())


def test_the_endpoint_identifies_the_model_and_the_password_does_not() -> None:
    spec = ModelSpec("org/m", "m", options=Options(base_url="https://me:secret@host:81/a/v1/"))
    assert open_engine.identify(spec) == {"name": "org/m", "endpoint": "host:81/a/v1", "body": {}}
    assert place("http://localhost:8000/v1") == "localhost:8000/v1"


def test_fields_that_the_engine_sends_itself_cannot_be_set_beside_it() -> None:
    with pytest.raises(ValueError, match="temperature cannot be set here"):
        Options(body={"temperature": 1})


# Many dialogues at once -----------------------------------------------------------------------------------------------


def test_places_are_all_used_and_never_exceeded(endpoint: FailingEndpoint) -> None:
    full = threading.Barrier(6)  # of the first calls each six are answered when all six are there

    def plan(call: Call) -> Action:
        if call.number < 60:
            full.wait(30)
        return answers

    endpoint.plan = plan
    assert len(play(engine(endpoint, places=6), 100)) == 100
    assert endpoint.most_open == 6
    assert len(endpoint.calls) == 200


def test_dialogues_that_hang_hold_up_no_others(endpoint: FailingEndpoint) -> None:
    """Five of six places are taken by calls that are answered when all other dialogues have ended; no clock decides."""
    others_done = threading.Event()
    slow = {f"say {i}" for i in range(5)}

    def plan(call: Call) -> Action:
        if call.turn == 1 and call.messages[0]["content"] in slow:
            assert others_done.wait(60)
        elif sum(c.turn == 2 for c in endpoint.calls) == 195:
            others_done.set()
        return answers

    endpoint.plan = plan
    episodes = play(engine(endpoint, places=6), 200)
    assert all(a.verdict.passed for e in episodes for a in e.attempts)
    assert {e.problem_id for e in episodes[-5:]} == {str(i) for i in range(5)}


def test_a_dialogue_that_waits_for_another_try_holds_no_place(
    endpoint: FailingEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only place there is goes to others until they have all been answered; then the pause ends."""

    def is_first(call: Call) -> bool:
        return call.messages[0]["content"] == "say 0"

    async def pause(seconds: float, sleep: Any = asyncio.sleep) -> None:
        for _ in range(3000):
            if sum(not is_first(call) for call in endpoint.calls) == 38:
                break
            await sleep(0.01)

    monkeypatch.setattr("scorebench.engines.remote.openai.asyncio.sleep", pause)
    endpoint.plan = lambda call: refuses(500) if is_first(call) and not call.tries else answers
    assert len(play(engine(endpoint, places=1), 20)) == 20
    assert [is_first(call) for call in endpoint.calls[-3:]] == [True] * 3


def test_a_dead_endpoint_is_given_up_and_one_that_comes_back_is_used(endpoint: FailingEndpoint) -> None:
    endpoint.plan = lambda call: refuses(500)
    made = engine(endpoint, patience=0.2)
    episodes = play(made, 200)
    assert all(a.verdict.outcome == "error" for e in episodes for a in e.attempts)
    tries = Counter(call.messages[0]["content"] for call in endpoint.calls)
    assert sum(count > 1 for count in tries.values()) <= made.at_once  # the first to come; the rest asked once
    assert len(tries) == 200

    # It comes back: what is asked after that is answered, first failures included.
    endpoint.plan = lambda call: answers if len(endpoint.calls) % 3 else refuses(500)
    episodes = play(engine(endpoint, patience=20), 100)
    assert all(a.verdict.passed for e in episodes for a in e.attempts)


def test_an_engine_serves_one_run_after_another(endpoint: FailingEndpoint) -> None:
    made = engine(endpoint)
    for _ in range(3):
        assert all(a.verdict.passed for e in play(made, 20) for a in e.attempts)
    assert made.account["requests"] == 120
