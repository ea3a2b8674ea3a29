"""Flags that several commands share: those of `scorebench run`, and -q and -v, which every command has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from inspect import Parameter, Signature, signature
from typing import Annotated, Any

import typer

from scorebench.api import verbosity

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

        return as_command(taking, command, named)

    return decorate


def with_levels(command: Command) -> Command:
    """The command with -q and -v, which are set before it begins."""

    def taking(quiet: bool, verbose: bool, **flags: Any) -> None:
        verbosity.quiet, verbosity.verbose = quiet, verbose
        if verbose:
            import logging

            logging.basicConfig(level=logging.INFO)
        command(**flags)

    own = signature(command, eval_str=True).parameters.values()
    levels = [
        _switch("quiet", "-q", "Say nothing but results and mistakes: no progress, no notes."),
        _switch("verbose", "-v", "Show the logs of libraries too, and where in the code a mistake was found."),
    ]
    return as_command(taking, command, [*own, *levels])


def as_command(taking: Callable[..., None], like: Command, flags: Sequence[Parameter]) -> Command:
    """`taking` with the name and the text of another command, and with these flags."""
    taking.__name__, taking.__doc__ = like.__name__, like.__doc__
    taking.__signature__ = Signature(flags)  # type: ignore[attr-defined]
    taking.__annotations__ = {flag.name: flag.annotation for flag in flags}
    return taking


def _switch(name: str, short: str, text: str) -> Parameter:
    option = typer.Option(f"--{name}", short, help=text)
    return Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, option])
