"""Commands that share their flags, so that a flag of `scorebench run` is one of its relatives too."""

from __future__ import annotations

from collections.abc import Callable, Collection
from inspect import Parameter, Signature, signature
from typing import Any

Command = Callable[..., None]


def with_flags_of(other: Command, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """For a command that takes **flags: the flags of `other`, less those that it has itself or has no use for."""

    def decorate(command: Command) -> Command:
        own = signature(command, eval_str=True).parameters
        shared = signature(other, eval_str=True).parameters
        named = [flag for flag in own.values() if flag.kind is not Parameter.VAR_KEYWORD]
        named += [flag for name, flag in shared.items() if name not in own and name not in without]

        def taking(**flags: Any) -> None:
            command(**flags)

        taking.__name__, taking.__doc__ = command.__name__, command.__doc__
        taking.__signature__ = Signature(named)  # type: ignore[attr-defined]
        taking.__annotations__ = {flag.name: flag.annotation for flag in named}
        return taking

    return decorate
