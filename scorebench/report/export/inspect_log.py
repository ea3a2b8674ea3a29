"""A log of Inspect's (.eval), written by inspect_ai itself (the extra `inspect`)."""

# pyright: reportMissingImports=false

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorebench.api.errors import UserError
from scorebench.api.types import Episode, Verdict
from scorebench.report.export.exported import Exported
from scorebench.statistics import metrics
from scorebench.storage.rows import as_row
from scorebench.storage.transcripts.inspect_log import ATTEMPTS

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

OUTCOMES = {"pass": "C", "fail": "I"}  # Inspect's letters for correct and incorrect


def write(run: Exported, path: Path) -> None:
    """Writes the run as one log: a sample a problem, an epoch a dialogue, a score a turn.

    An attempt that the harness could not grade has no score. UserError where inspect_ai is not installed.
    """
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as missing:
        raise UserError(
            "inspect_ai, which writes logs of Inspect's, is not installed: pip install 'scorebench[inspect]'."
        ) from missing
    # The library tells the format by the name, and `path` has a name of its own until the log is complete.
    write_eval_log(_log(run), str(path), format="eval")


def _log(run: Exported) -> EvalLog:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSpec
    from inspect_ai.model import GenerateConfig

    identity = run.summary.identity
    problems = list(run.problems())
    sampling = run.run.identity.get("sampling") or {}
    spec = EvalSpec(
        created=run.started.isoformat(),
        task=run.task,
        task_id=run.run.name,
        task_version=str(run.run.identity["task"].get("version", "")),
        dataset=EvalDataset(name=identity.data, samples=len(problems), sample_ids=list(problems)),
        model=identity.model,
        model_generate_config=GenerateConfig(
            temperature=sampling.get("temperature"), top_p=sampling.get("top_p"), max_tokens=sampling.get("max_tokens")
        ),
        config=EvalConfig(epochs=run.summary.samples),
        packages={name: str(version) for name, version in (run.meta.get("packages") or {}).items()},
        metadata={"scorebench": run.config},
    )
    samples = [_sample(episode, identity.model) for episode in run.episodes]
    return EvalLog(status="success", eval=spec, results=_results(run), samples=samples)


def _sample(episode: Episode, model: str) -> EvalSample:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, ModelOutput
    from inspect_ai.scorer import Score

    kinds: dict[str, Any] = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    messages = [kinds[message["role"]](content=message["content"]) for message in episode.transcript]
    scores = {
        f"turn{turn}": Score(value=OUTCOMES[verdict.outcome], answer=verdict.answer, explanation=_explained(verdict))
        for turn, verdict in enumerate((attempt.verdict for attempt in episode.attempts), start=1)
        if verdict.outcome in OUTCOMES
    }
    last = episode.attempts[-1].reply
    return EvalSample(
        id=episode.problem_id,
        epoch=episode.sample + 1,
        input=next((message["content"] for message in episode.transcript if message["role"] == "user"), ""),
        target="",
        messages=messages,
        output=ModelOutput.from_content(
            model, last.text, stop_reason="max_tokens" if last.finish_reason == "length" else "stop"
        ),
        scores=scores,
        metadata={**episode.tags, ATTEMPTS: [attempt["message"] for attempt in as_row(episode)["attempts"]]},
        total_time=episode.seconds,
    )


def _explained(verdict: Verdict) -> str:
    return f"{verdict.rule}: {verdict.detail}".rstrip(": ")


def _results(run: Exported) -> Any:
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    scores = []
    for turn in range(1, run.summary.turns + 1):
        value = metrics.accuracy(run.summary.outcomes, turn).value
        if not math.isnan(value):
            figures = {"accuracy": EvalMetric(name="accuracy", value=value)}
            scores.append(EvalScore(name=f"turn{turn}", scorer="scorebench", metrics=figures))
    count = len(run.episodes)
    return EvalResults(total_samples=count, completed_samples=count, scores=scores)
