"""lm-eval's results layout: MODEL/results_DATE.json and MODEL/samples_TASK_DATE.jsonl, as `--log_samples` writes them.

lm-eval knows no turns. So each turn is a task of its own here: math_turn1, math_turn2.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from scorebench.api.types import Episode
from scorebench.report.export.exported import Exported
from scorebench.statistics import metrics
from scorebench.storage.files import write_json
from scorebench.storage.rows import write_rows

METRIC, FILTER = "acc", "none"


def write(run: Exported, folder: Path) -> None:
    """Writes the results and, for each turn, the samples: a row a problem, with all samples of it as `resps`.

    doc_id counts the problems of the run; `target` is empty, because a run does not store the references.
    """
    place = folder / _model_name(run)
    place.mkdir(parents=True)
    date = run.started.strftime("%Y-%m-%dT%H-%M-%S.%f")
    hashes = {}
    for turn in range(1, run.summary.turns + 1):
        rows = [_row(number, samples, turn) for number, samples in enumerate(run.problems().values())]
        write_rows(place / f"samples_{_task(run, turn)}_{date}.jsonl", rows)
        hashes[_task(run, turn)] = _hash("".join(r["doc_hash"] + r["prompt_hash"] + r["target_hash"] for r in rows))
    write_json(place / f"results_{date}.json", _results(run) | {"task_hashes": hashes})


def _model_name(run: Exported) -> str:
    """The model's name as the name of a folder, as lm-eval makes it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "__", run.summary.identity.model).lstrip(".") or "model"


def _task(run: Exported, turn: int) -> str:
    return f"{run.task}_turn{turn}"


def _row(number: int, samples: list[Episode], turn: int) -> dict[str, Any]:
    attempts = [episode.attempts[turn - 1] for episode in samples]
    scored = [attempt.verdict.passed for attempt in attempts if attempt.verdict.outcome != "error"]
    texts = [attempt.reply.text for attempt in attempts]
    doc = {"id": samples[0].problem_id, **samples[0].tags}
    prompt = json.dumps(_messages_before(samples[0], turn), ensure_ascii=False)
    return {
        "doc_id": number,
        "doc": doc,
        "target": "",
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {}}},
        "resps": [texts],
        "filtered_resps": texts,
        "filter": FILTER,
        "metrics": [METRIC],
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(""),
        METRIC: sum(scored) / len(scored) if scored else None,
    }


def _messages_before(episode: Episode, turn: int) -> list[Any]:
    """The messages before the reply of a turn. A kept answer has none of its own; then those before the answer."""
    text = episode.attempts[turn - 1].reply.text
    answers = [
        place
        for place, message in enumerate(episode.transcript)
        if message["role"] == "assistant" and message["content"] == text
    ]
    # The same text may have been said in several turns: the turn-th of them, or the last.
    same = sum(attempt.reply.text == text for attempt in episode.attempts[:turn])
    return list(episode.transcript[: answers[min(same, len(answers)) - 1]]) if answers else []


def _results(run: Exported) -> dict[str, Any]:
    """The content of results_*.json."""
    turns = range(1, run.summary.turns + 1)
    identity = run.summary.identity
    names = [_task(run, turn) for turn in turns]
    sampling = dict(run.run.identity.get("sampling") or {})
    config = {
        "output_type": "generate_until",
        "num_fewshot": 0,
        "repeats": run.summary.samples,
        "generation_kwargs": sampling,
        "dataset_path": identity.data,
        "test_split": identity.split,
        "metadata": {"scorebench": run.config},
    }
    count = {"original": len(run.problems()), "effective": run.summary.n}
    return {
        "results": {name: _figures(run, name, turn) for name, turn in zip(names, turns, strict=True)},
        "group_subtasks": {},
        "configs": {name: {"task": name, **config} for name in names},
        "versions": dict.fromkeys(names, str(run.run.identity["task"].get("version", ""))),
        "n-shot": dict.fromkeys(names, 0),
        "higher_is_better": {name: {METRIC: True} for name in names},
        "n-samples": dict.fromkeys(names, count),
        "config": {"model": identity.engine, "model_args": f"pretrained={identity.model}", "gen_kwargs": sampling},
        "git_hash": None,
        "date": run.started.timestamp(),
        "model_source": identity.engine,
        "model_name": identity.model,
        "model_name_sanitized": _model_name(run),
        "total_evaluation_time_seconds": str(identity.seconds),
    }


def _figures(run: Exported, name: str, turn: int) -> dict[str, Any]:
    """Accuracy and its standard error over problems, as lm-eval has it: the samples' deviation over the root of n."""
    outcomes = run.summary.outcomes
    shares_P = outcomes.share_P(outcomes.at(turn))
    error = float(np.std(shares_P, ddof=1)) / math.sqrt(len(shares_P)) if len(shares_P) > 1 else "N/A"
    accuracy = metrics.accuracy(outcomes, turn).value
    return {
        "alias": name,
        "sample_len": len(run.problems()),
        f"{METRIC},{FILTER}": None if math.isnan(accuracy) else accuracy,
        f"{METRIC}_stderr,{FILTER}": error,
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()
