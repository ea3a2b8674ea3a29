"""An OpenAI-compatible endpoint as a user names it, and what its failures mean.

Three kinds of failure are told apart. A mistake of the user (a wrong key, an unknown model, a parameter that the model
does not take) is a UserError, at once. A request that will never be answered is an EngineError, which costs its
dialogue alone. All the rest may pass, and is tried again.
"""

from __future__ import annotations

import math
import os
import re
import time
from email.utils import parsedate_to_datetime
from typing import Annotated, Any
from urllib.parse import urlsplit

import openai
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from scorebench.api.errors import EngineError, UserError

_OFFICIAL = "https://api.openai.com/v1"
_OVERLOADED = {408, 409, 425, 429}  # and every status from 500 on
_SENDS = {"model", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "stop"}
_MAY_BE_OMITTED = ("temperature", "top_p", "seed", "stop")
_REFUSED = re.compile(
    r"unsupported|not support|unrecogni|unknown|unexpected|not permitted|not allowed|invalid param", re.I
)
_TOO_LONG = re.compile(
    r"context (?:length|size|window)|prompt is too long|too many (?:input )?tokens|`max_new_tokens` must be", re.I
)
_ONLY_STREAMS = re.compile(
    r"only .{0,40}stream|stream\W{1,6}(?:must|has to|should|to) be .{0,6}true|stream=true|must .{0,20}stream", re.I
)
_LIMIT = re.compile(r"(?:context (?:length|size|window)|must be <=)\D{0,24}?([\d,]+)", re.I)
_PROMPT = re.compile(
    r"([\d,]+) (?:`?inputs?`? tokens|prompt tokens|tokens from the input"
    r"|(?:tokens )?in (?:the|your) (?:messages|prompt|input))",
    re.I,
)


def _words(value: Any) -> Any:
    return [word.strip() for word in value.split("+")] if isinstance(value, str) else value


Price = Annotated[float, Field(ge=0)]


class Options(BaseModel):
    """What --model-args takes for an endpoint.

    base_url: in place of OPENAI_BASE_URL.
    omit: parameters that are not sent because the endpoint does not take them: temperature, top_p, seed, stop; several
        with a + between them. What the endpoint does in their place is then part of the result.
    timeout: seconds for one try, from the request to the last byte of the answer.
    patience: seconds for which a failing request is tried again, from its first failure on.
    price_in, price_cached, price_out: dollars a million tokens of prompt, of prompt found in the endpoint's cache
        (default: price_in), and of completion; a reasoning model's hidden tokens are completion.
    body: further fields of every request, as the endpoint documents them ({"reasoning_effort": "low"}); only in
        --config, and part of what identifies the model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str | None = None
    omit: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    timeout: Annotated[float, Field(gt=0)] = 600.0
    patience: Annotated[float, Field(ge=0)] = 300.0
    price_in: Price = 0.0
    price_cached: Price | None = None
    price_out: Price = 0.0
    body: dict[str, Any] = {}

    @field_validator("omit")
    @classmethod
    def _only_what_can_be_omitted(cls, omit: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := sorted(set(omit) - set(_MAY_BE_OMITTED)):
            raise ValueError(f"{wrong[0]!r} is none of {', '.join(_MAY_BE_OMITTED)}")
        return tuple(sorted(omit))

    @field_validator("body")
    @classmethod
    def _only_further_fields(cls, body: dict[str, Any]) -> dict[str, Any]:
        taken = sorted({*_SENDS, "messages", "stream", "n"} & set(body))
        if taken:
            raise ValueError(f"{', '.join(taken)} cannot be set here")
        return body

    def dollars(self, prompt: int, cached: int, completion: int) -> float:
        """The price of so many tokens; `cached` of the prompt's were found in a cache."""
        cached_price = self.price_in if self.price_cached is None else self.price_cached
        return ((prompt - cached) * self.price_in + cached * cached_price + completion * self.price_out) / 1e6


def address_and_key(options: Options) -> tuple[str, str]:
    """Where the endpoint is and with which key; UserError where the user has said neither.

    A server of one's own wants no key, but the client library does: then it is a dummy.
    """
    url = options.base_url or os.environ.get("OPENAI_BASE_URL", "").strip()
    key = os.environ.get("OPENAI_API_KEY", "").strip()
    if not url and not key:
        raise UserError(
            "The openai engine knows no endpoint: set OPENAI_API_KEY for api.openai.com, or OPENAI_BASE_URL "
            "for another one, such as http://localhost:8000/v1."
        )
    parts = urlsplit(url or _OFFICIAL)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"The endpoint {url!r} is no URL; write it as http://localhost:8000/v1.")
    return url or _OFFICIAL, key or "none"


def place(url: str) -> str:
    """Host, port and path of a URL: what is shown and stored of it. A password in it is not."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] + parts.path.rstrip("/")


class TransientError(Exception):
    """A failure that may pass. wait: the seconds that the endpoint asks to be left alone for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class TooLongError(Exception):
    """Prompt and reply together are longer than the model's context.

    context, prompt: how long these are, in tokens, as far as the endpoint says it.
    """

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.context = _number_in(_LIMIT, said)
        self.prompt = _number_in(_PROMPT, said)


class ParameterError(Exception):
    """The endpoint does not take one of the parameters that are sent. name: which."""

    def __init__(self, name: str, complaint: str) -> None:
        super().__init__(complaint)
        self.name = name


class OnlyStreamsError(Exception):
    """The endpoint answers only as a stream."""


def _number_in(pattern: re.Pattern[str], said: str) -> int | None:
    found = pattern.search(said)
    return int(found[1].replace(",", "")) if found and len(found[1]) < 16 else None


def meaning(fault: Exception, model: str, where: str) -> Exception:
    """What is to be raised in the place of a failure of the client library."""
    if isinstance(fault, openai.APIStatusError):
        return _meaning_of_status(fault, model, where)
    if isinstance(fault, TimeoutError | openai.APITimeoutError):
        return TransientError(f"{where} did not answer in time")
    if isinstance(fault, openai.APIConnectionError):
        return TransientError(f"no connection to {where} ({_line(fault.__cause__ or fault)})")
    return TransientError(f"{where} answered {_line(fault)}")


def _meaning_of_status(fault: openai.APIStatusError, model: str, where: str) -> Exception:
    status, said = fault.status_code, _said(fault)
    answer = f"HTTP {status}: {said}"
    if status in (401, 403):
        return UserError(f"{where} refuses the key ({answer}); set OPENAI_API_KEY to one that is valid there.")
    if status == 404:
        return UserError(
            f"{where} has no chat model {model!r} ({answer}); check --model and OPENAI_BASE_URL, "
            "which mostly ends in /v1."
        )
    if status == 402 or fault.code == "insufficient_quota":
        return UserError(f"The account at {where} has nothing left to spend ({answer}); the rows so far are kept.")
    if status in _OVERLOADED or status >= 500:
        return TransientError(f"{where} answered {answer}", asked_wait(fault.response.headers))
    if fault.code == "context_length_exceeded" or (_TOO_LONG.search(said) and not _other_bound(said)):
        return TooLongError(said)
    if _ONLY_STREAMS.search(said):
        return OnlyStreamsError(said)
    if name := _parameter(fault, said):
        return ParameterError(name, f"{where} does not take the {name} of this run ({answer})")
    return EngineError(f"{where} refused the request (HTTP {status}: {said})")


def _other_bound(said: str) -> bool:
    """OpenAI's reasoning models call max_tokens max_completion_tokens; older servers know only the first name."""
    return "max_completion_tokens" in said and bool(_REFUSED.search(said) or "instead" in said)


def _parameter(fault: openai.APIStatusError, said: str) -> str | None:
    """The parameter that is refused: as the endpoint names it, or as its complaint does."""
    if _other_bound(said):
        return "max_tokens"
    if fault.param in _SENDS:
        return fault.param
    named = [name for name in sorted(_SENDS - {"model"}) if re.search(rf"\b{name}\b", said)]
    return named[0] if len(named) == 1 and _REFUSED.search(said) else None


def asked_wait(headers: Any) -> float:
    """Seconds of a Retry-After header: a number or a date, or OpenAI's own in milliseconds; 0 where there is none."""
    try:
        if "retry-after-ms" in headers:
            seconds = float(headers["retry-after-ms"]) / 1000
        else:
            seconds = _seconds(headers.get("retry-after", "0"))
    except (ValueError, TypeError):
        return 0.0
    return max(seconds, 0.0) if math.isfinite(seconds) else 0.0


def _seconds(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return parsedate_to_datetime(value).timestamp() - time.time()


def _said(fault: openai.APIStatusError) -> str:
    body: Any = fault.body
    return _line(body.get("message") or body if isinstance(body, dict) else body or "nothing more")


def _line(said: object) -> str:
    """One line of at most 300 characters that can be written to any file."""
    line = " ".join(str(said).split())[:300] or type(said).__name__
    return line.encode("utf-8", "replace").decode()
