"""Tables for people as text for a terminal, Markdown or LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scorebench.report.escape import latex, markdown, one_line

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

Cell = tuple[str, ...]  # the figure, then what stands smaller beneath it

BENEATH = "{beneath}"  # in a note: where a format puts the smaller lines of a cell


@dataclass(frozen=True)
class Table:
    """A titled grid of cells; the first column holds names, the others figures. Notes stand beneath it."""

    title: str
    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def frame(self, plain: Callable[[str], str] = one_line) -> pd.DataFrame:
        """The table as a DataFrame of texts. The smaller lines of a cell follow its figure in brackets."""
        import pandas as pd

        rows = [[_joined(cell, plain) for cell in cells] for cells in self.rows]
        return pd.DataFrame(rows, columns=[plain(" ".join(cell)) for cell in self.header])


def as_text(tables: Sequence[Table]) -> str:
    """For the terminal: as wide as it is, 80 columns elsewhere; in colour only where the terminal shows it.

    A note that stands under several tables is printed once.
    """
    from rich.console import Console

    console = Console(highlight=False)
    said: set[str] = set()
    with console.capture() as captured:
        for table in tables:
            _print(console, table, [note for note in table.notes if note not in said])
            said.update(table.notes)
    return captured.get()


def _print(console: Console, table: Table, notes: Sequence[str]) -> None:
    from rich.text import Text

    console.print(Text(one_line(table.title), style="bold"))
    for part in fitting(table, console.width) if table.rows else ():
        _print_grid(console, part)
    for note in notes:
        console.print(Text(one_line(note.replace(BENEATH, "beneath")), style="dim"))
    console.print()


def _print_grid(console: Console, table: Table) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as Grid
    from rich.text import Text

    def stacked(cell: Cell) -> Text:
        return Text(cell[0]) + Text("".join(f"\n{line}" for line in cell[1:]), style="dim")

    grid = Grid(box=SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for column, cell in enumerate(table.header):
        grid.add_column(stacked(cell), justify="right" if column else "left", overflow="fold", no_wrap=True)
    for cells in table.rows:
        grid.add_row(*map(stacked, cells))
    console.print(grid)


NAMES_WIDTHS = (24, 17, 12)  # columns of the terminal that names may take, where the table would be too wide otherwise


def fitting(table: Table, width: int) -> list[Table]:
    """The table in a form that is at most `width` columns wide, without cutting a figure.

    As far as needed, the names are wrapped, then the two ends of each interval go beneath each other, and then the
    columns are dealt out over several tables that all have the names.
    """
    table = replace(table, header=_lines(table.header), rows=tuple(map(_lines, table.rows)))
    upright = _upright(table)
    forms = [table, *(_wrapped(some, names) for some in (table, upright) for names in NAMES_WIDTHS)]
    for form in forms:
        if _width(form) <= width:
            return [form]
    table = forms[-1]
    widths = _widths(table)
    parts: list[list[int]] = []
    for number in range(1, len(widths)):
        room = width - widths[0] - sum(1 + widths[other] for other in parts[-1]) if parts else 0
        if not parts or room < 1 + widths[number]:
            parts.append([])
        parts[-1].append(number)
    return [_columns(table, [0, *numbers]) for numbers in parts]


def _lines(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    return tuple(tuple(map(one_line, cell)) for cell in cells)


def _column(table: Table, number: int) -> list[str]:
    return [line for cells in (table.header, *table.rows) for line in cells[number]] or [""]


def _width(table: Table) -> int:
    return sum(_widths(table)) + len(table.header) - 1


def _widths(table: Table) -> list[int]:
    """How wide each column is in a terminal, where some letters take two places."""
    from rich.cells import cell_len

    return [max(map(cell_len, _column(table, number))) for number in range(len(table.header))]


def _columns(table: Table, numbers: Sequence[int]) -> Table:
    rows = tuple(tuple(cells[number] for number in numbers) for cells in table.rows)
    return replace(table, header=tuple(table.header[number] for number in numbers), rows=rows)


def _wrapped(table: Table, width: int) -> Table:
    """With names of at most `width` columns. Every line of a name but the first is set in by a space."""
    from textwrap import wrap

    def narrow(cell: Cell) -> Cell:
        return tuple(part for line in cell for part in wrap(line, width, subsequent_indent=" ") or [""])

    rows = tuple((narrow(cells[0]), *cells[1:]) for cells in table.rows)
    return replace(table, header=(narrow(table.header[0]), *table.header[1:]), rows=rows)


def _upright(table: Table) -> Table:
    """With every interval on two lines."""
    rows = tuple(
        (cells[0], *(tuple(part for line in cell for part in re.split(r"(?<=,) ", line)) for cell in cells[1:]))
        for cells in table.rows
    )
    return replace(table, rows=rows)


def as_markdown(tables: Sequence[Table]) -> str:
    """Pipe tables, a heading each; the smaller lines of a cell follow in brackets."""
    blocks = []
    for table in tables:
        blocks.append(f"### {markdown(table.title)}")
        if table.rows:
            align = ("left", *["right"] * (len(table.header) - 1))
            blocks.append(table.frame(markdown).to_markdown(index=False, disable_numparse=True, colalign=align))
        blocks += [markdown(note.replace(BENEATH, "in brackets")) for note in table.notes]
    return "\n\n".join(blocks) + "\n"


def as_latex(tables: Sequence[Table]) -> str:
    r"""A table environment each, for \usepackage{booktabs}; the smaller lines of a cell follow in brackets."""
    blocks = []
    for table in tables:
        if not table.rows:
            blocks += [rf"\par {latex(f'{table.title}. {note}')}" for note in table.notes]
            continue
        columns = "l" + "r" * (len(table.header) - 1)
        text = table.frame(latex).to_latex(index=False, escape=False, caption=latex(table.title), column_format=columns)
        notes = [rf"\par\footnotesize {latex(note.replace(BENEATH, 'in brackets'))}" for note in table.notes]
        ends = "\n".join([r"\end{tabular}", *notes])
        text = text.replace(r"\begin{table}", "\\begin{table}\n\\centering\\small", 1)
        blocks.append(text.replace(r"\end{tabular}", ends, 1).strip())
    return "\n\n".join(blocks) + "\n"


def _joined(cell: Cell, plain: Callable[[str], str]) -> str:
    figure, *smaller = map(plain, cell)
    smaller = [line for line in smaller if line]
    return f"{figure} ({'; '.join(smaller)})" if smaller else figure
