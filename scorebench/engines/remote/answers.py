"""What an endpoint answers with, read as what it should be: a completion in JSON, or its parts as a stream of events.

Nothing in it is trusted. The body is read up to a limit, a field may be missing or of any kind, and a count may be any
number.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

import openai

from scorebench.api.errors import EngineError
from scorebench.storage.datasets import is_text

_BODY, _BODY_OF_TOKEN = 1 << 22, 1 << 10  # bytes of an answer, and for each token that was asked for
_ERROR = 1 << 16  # bytes of an error's body
_TEXT_OF_TOKEN = 256  # characters; the longest tokens of known vocabularies are runs of about 128 spaces
_COUNT = 1 << 40  # no prompt and no reply has so many tokens
_CUT = {"length", "max_tokens", "model_length", "max_output_tokens", "max_length", "token_limit"}
_WITHHELD = {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii"}


# What the HTTP library of the client library raises; which library this is depends on the version.
_http = next(
    kind.__module__.split(".")[0] for kind in openai.DefaultAsyncHttpxClient.__mro__ if "httpx" in kind.__module__
)
HTTPError: type[Exception] = sys.modules[_http].HTTPError


class NotWholeError(Exception):
    """An answer that is no completion, or a part of one; another try may bring a whole one."""


class Answer(NamedTuple):
    """A completion. cut: at the limit of tokens. prompt, cached, sampled: tokens, 0 where nothing is reported."""

    text: str
    cut: bool
    prompt: int
    cached: int
    sampled: int


async def body_of(parts: AsyncIterator[bytes], max_tokens: int, where: str) -> bytes:
    """The body of an answer to a request for so many tokens; EngineError where it is longer than it can be."""
    limit = _BODY + max_tokens * _BODY_OF_TOKEN
    body = bytearray()
    async for part in parts:
        body += part
        if len(body) > limit:
            raise EngineError(f"{where} answered with more than {limit / 1e6:,.0f} MB")
    return bytes(body)


async def bound_error(response: Any) -> None:
    """A hook of the HTTP client: the body of an error, which the client library reads whole, is read up to a limit."""
    if response.status_code < 400:
        return
    stream = response.stream
    kind = next(kind for kind in type(stream).__mro__ if kind.__name__ == "AsyncByteStream")

    class Bounded(kind):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for part in stream:
                size += len(part)
                if size > _ERROR:
                    raise OSError("an error with an endless body")
                yield part

        async def aclose(self) -> None:
            await stream.aclose()

    response.stream = Bounded()


def answer_in(body: bytes, max_tokens: int, where: str) -> Answer:
    """The completion in a body.

    Raises NotWholeError where there is none, EngineError where the reply was withheld or is longer than was allowed.
    """
    completion = _completion(body)
    prompt, cached, sampled = _usage(completion.get("usage"))
    choice = _first(completion.get("choices"))
    ended, message = choice.get("finish_reason"), choice.get("message")
    if not isinstance(ended, str) or not isinstance(message, dict) or ended == "error":
        raise NotWholeError("without a whole completion")
    if ended.lower() in _WITHHELD:
        raise EngineError(f"{where} withheld the reply ({' '.join(ended.split())[:40].replace('_', ' ')})")
    cut = ended.lower() in _CUT
    text = _text(message, cut, sampled)
    if sampled > max_tokens or len(text) > max_tokens * _TEXT_OF_TOKEN:
        given = f"{sampled:,} tokens and {len(text):,} characters"
        raise EngineError(f"{where} gave {given} where at most {max_tokens:,} tokens were asked for")
    return Answer(text if is_text(text) else text.encode("utf-8", "replace").decode(), cut, prompt, cached, sampled)


def _text(message: dict[str, Any], cut: bool, sampled: int) -> str:
    """The reply's text. Where there is a thought and nothing else, it stands in <think>, so that a reader sees why."""
    text = _joined(message.get("content"))
    if text:
        return text
    if refusal := _joined(message.get("refusal")):
        return refusal
    if thought := _joined(message.get("reasoning_content")) or _joined(message.get("reasoning")):
        return f"<think>{thought}" if cut else f"<think>{thought}</think>"
    if text is None and not cut and sampled > 1:
        raise NotWholeError(f"with no content, though {sampled:,} tokens were sampled")
    return ""


def _joined(content: Any) -> str | None:
    """The text of a message's content: a string, or a list of parts of which those of text count."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise NotWholeError("with a content that is no text")
    texts = [part if isinstance(part, str) else part.get("text") for part in content if _is_text_part(part)]
    if not all(isinstance(text, str) for text in texts):
        raise NotWholeError("with a content that is no text")
    return "".join(map(str, texts))


def _is_text_part(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and part.get("type", "text") in ("text", "output_text"))


def _completion(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
        if text.lstrip().startswith(("data:", "event:", ":")):
            return _assembled(json.loads(data) for data in _events(text))
        read = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise NotWholeError(f"with something that is no JSON ({' '.join(str(fault).split())[:100]})") from fault
    if not isinstance(read, dict):
        raise NotWholeError("without a whole completion")
    return read


def _events(text: str) -> Iterable[str]:
    for line in text.splitlines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data and data != "[DONE]":
            yield data


def _assembled(chunks: Iterable[Any]) -> dict[str, Any]:
    """The completion that a stream of chunks amounts to."""
    texts: dict[str, list[str]] = {"content": [], "reasoning_content": [], "refusal": []}
    ended, usage = None, None
    for chunk in chunks:
        if not isinstance(chunk, dict) or "error" in chunk:
            raise NotWholeError("with a stream that broke off")
        usage = chunk.get("usage") or usage
        if not chunk.get("choices"):
            continue
        choice = _first(chunk["choices"])
        delta = choice.get("delta")
        ended = choice.get("finish_reason") or ended
        for name, parts in texts.items():
            if isinstance(delta, dict) and (said := _joined(delta.get(name))):
                parts.append(said)
    message = {name: "".join(parts) for name, parts in texts.items() if parts}
    return {"usage": usage, "choices": [{"finish_reason": ended, "message": message}]}


def _first(choices: Any) -> dict[str, Any]:
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise NotWholeError("without a whole completion")
    return choices[0]


def _usage(usage: Any) -> tuple[int, int, int]:
    """Tokens of the prompt, those of them that were cached, and tokens sampled; 0 where nothing is reported."""
    usage = usage if isinstance(usage, dict) else {}
    details = usage.get("prompt_tokens_details")
    counts = (usage.get("prompt_tokens"), (details or {}).get("cached_tokens") if isinstance(details, dict) else 0)
    prompt, cached, sampled = (
        c if isinstance(c, int) and c > 0 else 0 for c in (*counts, usage.get("completion_tokens"))
    )
    if max(prompt, sampled) > _COUNT:
        raise NotWholeError("with a number of tokens that cannot be")
    return prompt, min(cached, prompt), sampled
