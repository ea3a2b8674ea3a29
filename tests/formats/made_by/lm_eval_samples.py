"""Writes tests/formats/files/lm-eval: a real evaluation of lm-eval's, of a model that answers from a list.

    pip install lm-eval==0.4.13 datasets
    python -m tests.formats.made_by.lm_eval_samples tests/formats/files/lm-eval

Three word problems, two samples each, two filters, so that each problem stands twice in the file of samples.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

QUESTIONS = {"What is 2 + 2?": "4", "What is 3 * 5?": "15", "What is 9 - 7?": "2"}
REPLIES = ["Final Answer: The final answer is $4$. I hope it is correct.", "It is 14.", "The answer is 2."]

TASK = {
    "task": "sums",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "{{question}}",
    "doc_to_target": "{{answer}}",
    "repeats": 2,
    "generation_kwargs": {"until": ["\n\n"]},
    "metric_list": [{"metric": "exact_match"}],
    "filter_list": [
        {"name": "first", "filter": [{"function": "regex", "regex_pattern": r"(\d+)"}, {"function": "take_first"}]},
        {"name": "whole", "filter": [{"function": "take_first"}]},
    ],
}


def main(target: Path) -> None:
    import lm_eval
    from lm_eval.api.model import LM
    from lm_eval.loggers import EvaluationTracker

    class Listed(LM):
        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            questions = list(QUESTIONS)
            places = [questions.index(request.args[0].strip()) for request in requests]
            # The second sample of a problem is the next problem's reply.
            return [REPLIES[(place + places[:i].count(place)) % 3] for i, place in enumerate(places)]

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

        def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "sums.jsonl"
        rows = [{"question": question, "answer": answer} for question, answer in QUESTIONS.items()]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = {**TASK, "dataset_kwargs": {"data_files": {"test": str(data)}}}
        results = lm_eval.simple_evaluate(model=Listed(), tasks=[task], log_samples=True, bootstrap_iters=0)
        assert results is not None
        results["configs"]["sums"]["dataset_kwargs"] = {"data_files": {"test": "sums.jsonl"}}
        del results["pretty_env_info"]  # it describes the machine
        samples = results.pop("samples")
        tracker = EvaluationTracker(output_path=str(target))
        tracker.general_config_tracker.log_experiment_args("listed", "model=listed", None, None, False)
        tracker.save_results_aggregated(results=results, samples=samples)
        tracker.save_results_samples("sums", samples["sums"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
