"""The commands that read stored runs: compare, leaderboard, scaling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from scorebench.api.errors import UserError
from scorebench.cli.view import make_folder_of

Out = Annotated[Path, typer.Option(help="Folder of runs, checkpoints and tables.")]


def compare(
    baseline: Annotated[str | None, typer.Option(help="Method that the others are compared with.")] = None,
    form: Annotated[str, typer.Option("--format", help="table, md, latex, csv or json.")] = "table",
    seeds: Annotated[bool, typer.Option("--seeds", help="A row for every seed, in place of their mean.")] = False,
    out: Out = Path("results"),
) -> None:
    """All runs: accuracy at each attempt, the gain, and the flips, with 95 % intervals."""
    from scorebench.report.compare import FORMATS
    from scorebench.report.compare import compare as text_of

    if form not in FORMATS:
        raise UserError(f"There is no --format {form!r}; take {', '.join(FORMATS)}.")
    print(text_of(_summaries(_stored(out)), form, baseline, expand_seeds=seeds))


def leaderboard(
    csv: Annotated[Path, typer.Option(help="File to write.")] = Path("leaderboard.csv"), out: Out = Path("results")
) -> None:
    """All runs as one CSV file, fractions of 1."""
    from scorebench.report.compare import leaderboard_csv
    from scorebench.storage.files import replacing

    text = leaderboard_csv(_summaries(_stored(out)))
    with replacing(csv) as part:
        part.write_text(text, encoding="utf-8")
    print(f"{text.count(chr(10)) - 1} runs in {csv}")


def scaling(
    budgets: Annotated[str, typer.Option(help="Attempts a problem: even numbers.")] = "2,4,8,16,32",
    plot: Annotated[Path | None, typer.Option(help="File for the curves; written as PNG and as SVG.")] = None,
    csv: Annotated[Path | None, typer.Option(help="File for the figures, in fractions of 1.")] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Stored runs, by name or folder, in place of --method and --task.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Dialogues on each problem. Default: the largest budget.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Of the samples. Default 0.7.")] = None,
    **flags: Any,
) -> None:
    """Is a correction worth more than another sample? Majority votes of 2K samples, and of K with a correction each.

    The samples are taken from a stored run that has enough of them, or made now, in OUT/pools.
    """
    from scorebench.evaluation import sample_pools
    from scorebench.evaluation.settings import settings_from
    from scorebench.report import scaling_curves
    from scorebench.report.baseline import heading
    from scorebench.report.render import as_text

    wanted = sample_pools.budgets_of(budgets)
    for file in (plot, csv):
        make_folder_of(file)
    config = flags.pop("config")
    if run is None:
        settings = settings_from({**flags, "samples": samples, "temperature": temperature}, config)
        pools = sample_pools.sample(settings, wanted)
    else:
        _check_alone("--run", {**flags, "config": config, "samples": samples, "temperature": temperature})
        pools = sample_pools.stored(flags["out"] or Path("results"), _names(run), wanted)
    found = [scaling_curves.curve_of(pool, wanted, flags["data"] if run else None) for pool in pools]
    groups = {curve.group: [c for c in found if c.group == curve.group] for curve in found}
    print(as_text([scaling_curves.table_of(f"{heading(group)}: scaling", some) for group, some in groups.items()]))
    if csv:
        scaling_curves.write_csv(csv, found)
        print(f"Figures: {csv}")
    if plot:
        for file in scaling_curves.write_plots(plot, groups):
            print(f"Plot: {file}")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UserError("--run names no run; give a run's folder, or its name under --out.")
    return names


def _check_alone(flag: str, others: dict[str, Any]) -> None:
    """Stored runs are what they are: the flags of a new one would say nothing."""
    for name, value in others.items():
        if name not in ("out", "data") and value not in (None, []):
            raise UserError(f"{flag} takes stored runs as they are; leave --{name.rstrip('_').replace('_', '-')} out.")


Results = list[tuple[dict[str, Any], list[Any]]]


def _stored(out: Path) -> Results:
    from scorebench.storage.runs import tested_runs

    return [(run.meta(), list(run.rows().values())) for run in tested_runs(out / "runs")]


def _summaries(results: Results) -> list[Any]:
    from scorebench.report.summary import summarize

    return [summarize(meta, episodes, meta["run"]) for meta, episodes in results if episodes]
