"""What is unusual about a model's chat template is said in a line, and stands in run.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scorebench.evaluation.session import Session
from scorebench.evaluation.settings import Settings
from tests import tiny

DROPS_THOUGHTS = tiny.TEMPLATE.replace("m['content'] }}", "m['content'].split('</think>')[-1] }}")


@pytest.mark.parametrize(
    ("template", "says"),
    [(None, "no chat template"), (DROPS_THOUGHTS, "changes earlier answers"), (tiny.TEMPLATE, None)],
    ids=["none", "drops thoughts", "plain"],
)
def test_an_unusual_chat_template_is_said(
    template: str | None, says: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    tiny.model().save_pretrained(folder)
    tiny.tokenizer(template).save_pretrained(folder)
    settings = Settings(
        method=["base"], task=["math"], model=str(folder), data=Path("embedded"), engine="hf", limit=2, max_tokens=4,
        out=tmp_path / "results",
    )  # fmt: skip
    Session(settings).run()
    told = capsys.readouterr().err.replace(str(folder), "MODEL")
    assert "The model: MODEL (engine hf).\nOpening MODEL ...\n" in told
    (run,) = (tmp_path / "results" / "runs").glob("*/run.json")
    note = json.loads(run.read_text())["about"].get("chat_template_note", "")
    if says:
        assert says in told
        assert says in note
    else:
        assert "template" not in told
        assert not note
