"""A model card: README.md whose metadata has the figures as `model-index`, in the form that the hub reads."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorebench.api.percent import percent
from scorebench.api.text import as_text
from scorebench.report.export.exported import Exported

if TYPE_CHECKING:
    from huggingface_hub import CardData, EvalResult

METRICS = {"acc_t1": "Acc@t1", "acc_t2": "Acc@t2", "delta": "delta", "i_to_c": "i->c", "c_to_i": "c->i"}


def write(run: Exported, path: Path) -> None:
    """Writes the card to a file. Figures stand there in percent, as on the hub."""
    from huggingface_hub import ModelCardData

    identity = run.summary.identity
    data = ModelCardData(
        model_name=identity.training or identity.model,
        eval_results=_results(run),
        tags=["scorebench", "self-correction"],
        pipeline_tag="text-generation",
        base_model=identity.model if identity.training else None,
    )
    text = f"""# {identity.training or identity.model}

Method `{identity.method}`, measured by scorebench on {run.task} ({identity.split}).

{figures_table(run)}
| setting | value |
| --- | --- |
{_settings(run)}
"""
    path.write_text(card_text(data, text), encoding="utf-8")


def _results(run: Exported) -> list[EvalResult]:
    from huggingface_hub import EvalResult

    identity = run.summary.identity
    return [
        EvalResult(
            task_type="text-generation",
            task_name="self-correction",
            dataset_type=run.task,
            dataset_name=f"{run.task}, {run.summary.n} problems, data {identity.data}",
            dataset_split=identity.split,
            metric_type="accuracy" if name.startswith("acc") else name,
            metric_name=f"{METRICS[name]} ({identity.method})",
            metric_value=round(100 * value, 2),
        )
        for name, (value, _, _) in run.summary.five().items()
        if not math.isnan(value)
    ]


def figures_table(run: Exported) -> str:
    """The five metrics in percent with their 95 % intervals, and what they are over, as Markdown."""
    summary = run.summary
    rows = [
        f"| {METRICS[name]} | {percent(value)} | {percent(low)} to {percent(high)} |"
        for name, (value, low, high) in summary.five().items()
        if not math.isnan(value)
    ]
    over = f"Over {summary.n} problems with {summary.samples} samples each; {summary.errors} episodes with an error of "
    over += f"the harness are left out, and {summary.truncated} replies were cut off at the token limit."
    return "\n".join(["| figure | percent | 95 % interval |", "| --- | --- | --- |", *rows, "", over, ""])


def _settings(run: Exported) -> str:
    identity = run.summary.identity
    shown: dict[str, Any] = {
        "task": f"{identity.task}, version {run.run.identity['task'].get('version', '')}",
        "data": identity.data,
        "problems": f"the first {identity.limit}" if identity.limit else len(run.problems()),
        "model": identity.model,
        "engine": identity.engine,
        "temperature": identity.temperature,
        "top_p": identity.top_p,
        "max_tokens": identity.max_tokens,
        "system prompt": identity.system_prompt or "none",
        "reading": identity.reading,
        "seed": identity.seed,
        "run": run.run.name,
    }
    return "\n".join(f"| {name} | {_cell(value)} |" for name, value in shown.items())


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def card_text(data: CardData, text: str) -> str:
    """A card: the metadata between two lines of dashes, and the text."""
    return as_text(f"---\n{data.to_yaml()}\n---\n\n{text}")
