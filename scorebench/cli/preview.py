"""Flags of `scorebench run` and `scorebench train` that show what would be done, and do nothing."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from scorebench.cli.flags import Command, as_command

DRY_RUN = typer.Option("--dry-run", help="Show what would be played and the first prompts; play nothing.")
LIST_SETTINGS = typer.Option(
    "--list-settings", metavar="METHOD", help="Show what --set can change in a method, and stop."
)


def with_previews(command: Command) -> Command:
    """The command with --dry-run and --list-settings; and `--model-args help` shows what an engine takes."""

    def taking(dry_run: bool, list_settings: str | None, **flags: Any) -> None:
        if list_settings:
            from scorebench.evaluation.preview import settings_of

            print(settings_of(list_settings, flags["task"], flags["model"]))
        elif flags["model_args"] == "help":
            from scorebench.evaluation.preview import arguments_of

            print(arguments_of(flags["engine"]))
        elif dry_run:
            print(_dry_run(flags))
        else:
            command(**flags)

    kind = Parameter.KEYWORD_ONLY
    more = [
        Parameter("dry_run", kind, default=False, annotation=Annotated[bool, DRY_RUN]),
        Parameter("list_settings", kind, default=None, annotation=Annotated[str | None, LIST_SETTINGS]),
    ]
    return as_command(taking, command, [*signature(command, eval_str=True).parameters.values(), *more])


def _dry_run(flags: dict[str, Any]) -> str:
    from scorebench.evaluation.preview import dry_run
    from scorebench.evaluation.settings import Settings, settings_from

    known = {name: value for name, value in flags.items() if name.rstrip("_") in Settings.model_fields}
    return dry_run(settings_from(known, flags["config"]))
