"""The commands that read stored runs: compare, leaderboard, scaling."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from scorebench.api.errors import UserError
from scorebench.cli.view import make_folder_of

Out = Annotated[Path, typer.Option(help="Folder of runs, checkpoints and tables.")]


Names = Annotated[str | None, typer.Option(help="Only these, separated by commas.")]


def compare(
    baseline: Annotated[
        str | None, typer.Option(help="Method or run that the others are compared with, on the same problems.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="table, md, latex, csv or json.")] = "table",
    seeds: Annotated[bool, typer.Option("--seeds", help="A row for every seed, in place of their mean.")] = False,
    published: Annotated[
        bool,
        typer.Option(
            "--published", help="Also show figures that papers published on the same benchmark, and how they measured."
        ),
    ] = False,
    method: Names = None,
    task: Names = None,
    model: Names = None,
    run: Names = None,
    out: Out = Path("results"),
) -> None:
    """All runs: accuracy at each attempt, the gain, the flips and what stands behind them, with 95 % intervals."""
    from scorebench.report.compare import FORMATS
    from scorebench.report.compare import compare as text_of
    from scorebench.report.stored import Wanted, read_summaries

    if form not in FORMATS:
        raise UserError(f"There is no --format {form!r}; take {', '.join(FORMATS)}.")
    stored = read_summaries(out, Wanted(*map(_list, (method, task, model, run))))
    _tell(stored.left_out)
    print(text_of(stored.summaries, form, baseline, expand_seeds=seeds, published=published))


def _list(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _tell(lines: Sequence[str]) -> None:
    """What is left out is said beside the table, and is no failure: the rest is there."""
    from scorebench.api.text import printable

    for line in lines:
        print(f"scorebench: {printable(line)}", file=sys.stderr)


def leaderboard(
    csv: Annotated[Path, typer.Option(help="File to write.")] = Path("leaderboard.csv"), out: Out = Path("results")
) -> None:
    """All finished runs as one CSV file, fractions of 1, best Acc@t2 first; says which runs it leaves out, and why."""
    from scorebench.report import rows
    from scorebench.report.stored import read_summaries
    from scorebench.storage.files import write_text

    stored = read_summaries(out)
    ranked = rows.leaderboard(stored.summaries)
    write_text(csv, rows.to_csv(ranked), "--csv")
    _tell([*stored.left_out, *rows.left_out(stored.summaries)])
    print(f"{len(ranked)} of {len(stored.summaries) + len(stored.left_out)} runs in {csv}")


def power(
    problems: Annotated[int, typer.Option(min=1, help="Problems of the benchmark.")],
    delta: Annotated[float, typer.Option(help="The difference to be seen, in points of percent, such as 4.4.")],
    samples: Annotated[int, typer.Option(min=1, help="Samples of each problem.")] = 1,
    differing: Annotated[
        float, typer.Option(help="Percent of the problems on which one sample of each method differs in its verdict.")
    ] = 20.0,
    lasting: Annotated[
        float, typer.Option(min=0, max=100, help="Percent of that which more samples do not average out.")
    ] = 50.0,
) -> None:
    """How many problems and samples a difference between two methods needs, to be found in 80 and 90 % of the cases."""
    from scorebench.report.power import power_text

    print(power_text(problems, delta / 100, samples, differing / 100, lasting / 100))


def scaling(
    budgets: Annotated[str, typer.Option(help="Numbers of attempts on each problem; even numbers.")] = "2,4,8,16,32",
    plot: Annotated[Path | None, typer.Option(help="File for the curves; written as PNG and as SVG.")] = None,
    csv: Annotated[Path | None, typer.Option(help="File for the figures, in fractions of 1.")] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Stored runs, by name or folder, in place of --method and --task.")
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Dialogues on each problem. Default: the largest budget.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Temperature of the samples. Default 0.7.")] = None,
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
    make_folder_of(plot, "--plot")
    make_folder_of(csv, "--csv")
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
