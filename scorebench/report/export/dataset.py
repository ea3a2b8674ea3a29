"""A dataset folder as the hub has it: README.md and data/SPLIT-00000-of-00001.parquet, a row an episode."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorebench.api.text import as_text
from scorebench.api.types import Episode
from scorebench.report.export.exported import Exported
from scorebench.report.export.model_card import card_text, figures_table

if TYPE_CHECKING:
    import pyarrow

COLUMNS = """\
| column | what it holds |
| --- | --- |
| `id`, `sample` | the problem, and which of the dialogues on it, from 0 |
| `attempts` | the reply of each turn |
| `outcomes` | the verdict on each: pass, fail, or error (a fault of the harness, counted in no accuracy) |
| `answers` | the answer, or the program, that was found in each |
| `finish_reasons`, `tokens` | how each reply ended, and its length in tokens |
| `messages` | the whole dialogue, with replies that are no attempts |
| `tags` | the subject, the level, ... of the problem, as text |
| `seconds` | wall time of the dialogue |
"""


def write(run: Exported, folder: Path) -> None:
    import pyarrow.parquet

    split = run.summary.identity.split
    (folder / "data").mkdir(parents=True)
    table = pyarrow.Table.from_pylist([_row(episode) for episode in run.episodes], schema=_schema(run))
    pyarrow.parquet.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    (folder / "README.md").write_text(_card(run, split), encoding="utf-8")


def _row(episode: Episode) -> dict[str, Any]:
    attempts = episode.attempts
    return {
        "id": episode.problem_id,
        "sample": episode.sample,
        "attempts": [as_text(attempt.reply.text) for attempt in attempts],
        "outcomes": [attempt.verdict.outcome for attempt in attempts],
        "answers": [answer and as_text(answer) for answer in (attempt.verdict.answer for attempt in attempts)],
        "finish_reasons": [attempt.reply.finish_reason for attempt in attempts],
        "tokens": [attempt.reply.tokens for attempt in attempts],
        "messages": [{"role": m["role"], "content": as_text(m["content"])} for m in episode.transcript],
        "tags": {name: str(value) for name, value in episode.tags.items()},
        "seconds": episode.seconds,
    }


def _schema(run: Exported) -> pyarrow.Schema:
    """The types of the columns. They are given, because a column may have no value to tell its type by."""
    import pyarrow as pa

    texts = pa.list_(pa.string())
    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    columns = [
        ("id", pa.string()),
        ("sample", pa.int64()),
        ("attempts", texts),
        ("outcomes", texts),
        ("answers", texts),
        ("finish_reasons", texts),
        ("tokens", pa.list_(pa.int64())),
        ("messages", pa.list_(message)),
        ("seconds", pa.float64()),
    ]
    tags = sorted({tag for episode in run.episodes for tag in episode.tags})
    if tags:  # parquet has no struct without fields
        columns.append(("tags", pa.struct([(tag, pa.string()) for tag in tags])))
    return pa.schema(columns)


def _card(run: Exported, split: str) -> str:
    from huggingface_hub import DatasetCardData

    identity = run.summary.identity
    data = DatasetCardData(
        pretty_name=f"{identity.method} on {run.task}, {identity.model}",
        tags=["scorebench", "self-correction"],
        configs=[{"config_name": "default", "data_files": [{"split": split, "path": f"data/{split}-*.parquet"}]}],
    )
    text = f"""# {identity.method} on {run.task}, {identity.model}

Every episode of the run `{run.run.name}`: dialogues in which a model corrects its own answer, with verdicts.

{COLUMNS}
{figures_table(run)}"""
    return card_text(data, text)
