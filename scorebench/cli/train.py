"""`scorebench train`: a training, and its checkpoint in a folder of the user's.

The training is the one that `scorebench run` would do: it lies in RESULTS/checkpoints under its identity and is done
once. What --out gets is a copy of its checkpoint, with training.json beside the weights to say what they are.
"""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scorebench.api.errors import UserError

if TYPE_CHECKING:
    from scorebench.evaluation.settings import Settings
    from scorebench.training.trainer import Training

RECORD = "training.json"


def train(
    out: Annotated[
        Path | None, typer.Option(help="Folder for the checkpoint. Default: where trainings are kept.")
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Where trainings are kept. Default ./results.")] = None,
    **flags: Any,
) -> None:
    """Train a method, or go on with its training, and leave a checkpoint that transformers opens."""
    from scorebench.api import distributed
    from scorebench.evaluation.session import Session
    from scorebench.evaluation.settings import settings_from

    config = flags.pop("config")
    session = Session(settings_from({**flags, "out": results}, config))
    training = session.train(before=lambda training: check_target(out, training))
    if not distributed.is_first():
        return
    checkpoint = training.model
    if out is not None:
        deliver(training, out)
        checkpoint = out
    print(f"The checkpoint: {checkpoint}\nEvaluate it: {_evaluation(checkpoint, session.settings)}")


def check_target(folder: Path | None, training: Training) -> None:
    """UserError where a checkpoint of this training cannot be put into the folder, because something else is there."""
    from scorebench.storage.runs import digest, read_json

    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder with --out.")
    if (folder / RECORD).is_file():
        there = read_json(folder / RECORD)["identity"]
        if digest(there) != digest(training.identity):
            raise UserError(
                f"{folder} holds another training ({there['method']['name']} on {there['task']['name']}, seed "
                f"{there['seed']}, or with other settings); name another --out, or move it away."
            )
    elif any(folder.iterdir()):
        raise UserError(f"{folder} holds files that are no training's; name another --out.")


def deliver(training: Training, folder: Path) -> None:
    """Copies the checkpoint to the folder, in one step; nothing is done where it is there already."""
    from scorebench.api.progress import progress
    from scorebench.storage.files import replacing

    if (folder / RECORD).is_file():
        return
    files = [file for file in sorted(training.model.rglob("*")) if file.is_file()]
    with replacing(folder) as part, progress(f"copy to {folder}", len(files)) as tell:
        for done, file in enumerate(files, start=1):
            copy = part / file.relative_to(training.model)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            tell(done)
        shutil.copyfile(training.folder / RECORD, part / RECORD)


def _evaluation(checkpoint: Path, settings: Settings) -> str:
    """The command that evaluates a checkpoint as its training's own method would be."""
    words = ["scorebench", "run", "--method", "base", "--task", *settings.task, "--model", str(checkpoint)]
    if settings.data or not settings.model:
        words += ["--data", str(settings.data or "embedded")]
    if settings.system_prompt:
        words += ["--system-prompt", settings.system_prompt]
    return shlex.join(words)
