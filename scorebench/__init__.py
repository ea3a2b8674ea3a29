"""Scorebench: what is it worth when a language model corrects itself?

The public interface, which docs/api.md describes: the functions evaluate, train, grade, load_runs and compare, and what
an author of a task, a method or an engine needs. All other modules are internal and may change.

Names are imported when they are first used, so that `import scorebench` takes no time. __init__.pyi has their types.
"""

from importlib import import_module as _import_module
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "scorebench.report.results": "evaluate train grade load_runs compare Results Run",
    "scorebench.api.errors": "UserError EngineError",
    "scorebench.api.types": "Message Problem Sampling Reply Verdict Attempt Episode",
    "scorebench.api.protocols": "Split Source Loaded Task Ask Dialogue Method Trained TrainingContext "
    "Engine PolicyEngine ModelSpec Opener",
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'scorebench' has no attribute {name!r}")
    value = globals()[name] = getattr(_import_module(_MODULE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
