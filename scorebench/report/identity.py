"""What a run was, read from its run.json, and how a table calls it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from scorebench.api.errors import UserError


@dataclass(frozen=True)
class Identity:
    """What a run was, as its row says it.

    data: "embedded", "hub" or "folder:" and the files' digest. settings: everything else that defines the run but the
    seed, as flat names and values; runs with equal settings are seeds of one configuration. episodes_expected: how many
    the run has when it is finished; None where run.json does not say. seconds: wall time of the evaluation.
    limit: the number of problems, where they are only the first of the benchmark. changed: the settings of the training
    that were given with --set. training: the checkpoint's name, empty for a method that does not train.
    trained_with: what the training took, by name, empty where it is not recorded. greedy: whether replies are drawn at
    temperature 0.
    """

    task: str
    data: str
    method: str
    model: str
    seed: int | None
    run: str
    seconds: float
    episodes_expected: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    split: str = "test"
    engine: str = ""
    reading: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    system_prompt: str = ""
    limit: int | None = None
    changed: tuple[str, ...] = ()
    training: str = ""
    trained_with: Mapping[str, float] = field(default_factory=dict)

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    @property
    def oracle(self) -> bool:
        """Whether an oracle took part, which knows the right answer: such a row is labelled, and never ranked."""
        return "oracle" in f"{self.method} {self.run}".lower()


# What two seeds of one configuration share, besides the data; not the trained weights, of which each seed has its own.
DEFINING = (
    *("task", "split", "problems", "method", "model", "engine", "sampling", "reading", "system_prompt", "turns"),
    "samples",
)


def identify(meta: Mapping[str, Any], run: str) -> Identity:
    """Read run.json. The only place of the report that knows its keys; `run` is the folder's name.

    Raises UserError where it does not have the shape of a run's.
    """
    try:
        return _identity(meta, run)
    except (KeyError, TypeError, AttributeError, ValueError) as fault:
        raise UserError(f"The run.json of {run} describes no run ({fault!r:.120}); move its folder away.") from fault


def _identity(meta: Mapping[str, Any], run: str) -> Identity:
    problems = (meta.get("problems") or {}).get("count")
    sampling, asked = meta.get("sampling") or {}, meta.get("asked") or {}
    names = [meta["task"]["name"], meta["data"], meta["method"]["name"], _model_name(meta)]
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"names are {names}")
    return Identity(
        *names,
        seed=meta.get("seed"),
        run=run,
        seconds=float(meta.get("seconds") or 0.0),
        episodes_expected=problems * meta.get("samples", 1) if isinstance(problems, int) else None,
        settings=dict(_flat({key: meta.get(key) for key in DEFINING})),
        split=meta.get("split") or "test",
        engine=meta.get("engine") or "",
        reading=meta.get("reading") or "",
        temperature=sampling.get("temperature"),
        top_p=sampling.get("top_p"),
        max_tokens=sampling.get("max_tokens"),
        system_prompt=meta.get("system_prompt") or "",
        limit=problems if problems is not None and asked.get("limit") == problems else None,
        changed=tuple(map(str, asked.get("set") or ())),
        training=(meta.get("training") or {}).get("name") or "",
        trained_with=dict(meta.get("trained_with") or {}),
    )


def _model_name(meta: Mapping[str, Any]) -> str:
    """The model's name. A checkpoint is called after its training: its weights lie in a folder `model` of that."""
    name = (meta.get("model") or {}).get("name") or ""
    path = PurePath(str((meta.get("asked") or {}).get("model") or ""))
    return path.parent.name or name if name == "model" == path.name else name


def _flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        inner = [(f"{name}.{key}" if name else str(key), value[key]) for key in value if key != "seed"]
        return [pair for key, part in inner for pair in _flat(part, key)]
    return [] if value is None else [(name, value if isinstance(value, str) else json.dumps(value, default=str))]


def configuration(identity: Identity) -> tuple[Any, ...]:
    """What two seeds of one configuration share."""
    settings = tuple(sorted(identity.settings.items()))
    return (identity.task, identity.data, identity.method, identity.model, settings)


def conditions(identity: Identity) -> dict[str, str]:
    """The settings under which a run was made, whatever its method: what two methods should share to be compared."""
    return {name: value for name, value in identity.settings.items() if not name.startswith("method.")}


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The names of the settings in which two runs differ, digests only where nothing else does."""
    names = [name for name in dict.fromkeys([*one, *other]) if one.get(name) != other.get(name)]
    return [name for name in names if not name.endswith("digest")] or names


def names_of(identities: Sequence[Identity]) -> list[str]:
    """The method of each run, with the settings that were changed for it.

    Where a method stands there with several configurations, those of its settings that differ are named too. "oracle"
    stands in the name of every run that an oracle took part in.
    """
    return [
        _name(identity, [other for other in identities if other.method == identity.method]) for identity in identities
    ]


def _name(identity: Identity, others: Sequence[Identity]) -> str:
    ours = identity.settings
    told = dict.fromkeys(name for other in others for name in differing(other.settings, ours))
    own = [assignment.partition("=")[0].strip() for assignment in identity.changed]
    changed = {assignment.partition("=")[0].strip() for other in others for assignment in other.changed}
    words = [identity.method, *identity.changed]
    words += [
        f"{_short(name, changed)}={ours.get(name, 'none')}"
        for name in told
        if not any(name.endswith(f".{word}") for word in own)
    ]
    if identity.oracle and "oracle" not in identity.method.lower():
        words.append("(oracle)")
    return " ".join(words)


def _short(name: str, changed: Collection[str]) -> str:
    """A setting's name as --set takes it, where it was set in another row; else the last part of it."""
    return next((word for word in changed if name.endswith(f".{word}")), name.rpartition(".")[2])
