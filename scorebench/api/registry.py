"""Finds tasks, methods and engines by name: those of scorebench, and those of other packages.

All of them are registered as entry points, in the groups scorebench.tasks, scorebench.methods and scorebench.engines.
A package whose entry point is broken can hurt nothing but the names that it registers.
"""

from __future__ import annotations

import difflib
import sys
import traceback
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from scorebench.api.errors import UserError

Kind = Literal["task", "method", "engine"]

OWN = "scorebench"


def names(kind: Kind) -> list[str]:
    """All registered names of a kind, sorted."""
    return sorted({entry.name for entry in _entries(kind)})


def find(kind: Kind, name: str) -> Any:
    """The registered object; it follows the protocol of its kind in protocols.py.

    A built-in name always means the built-in: where another package registers it too, that is said on standard error.

    Raises UserError where nothing has this name, where two other packages have it, and where what is registered is
    broken: it cannot be imported, or it lacks a member of its protocol. The sentence names the package.
    """
    entry = entry_of(kind, name)
    found, wrong = _loaded(kind, entry)
    if wrong and package_of(entry) == OWN:
        raise UserError(
            f"The {kind} {name!r} of scorebench {wrong}; install scorebench again, as after every change of it."
        )
    if wrong:
        raise UserError(
            f"The {kind} {name!r} of the package {package_of(entry)} {wrong}; update or uninstall that package. "
            "(If it is yours: scorebench/api/protocols.py says what such an object must have.)"
        )
    return found


def entry_of(kind: Kind, name: str) -> EntryPoint:
    """The entry point with this name, not loaded. Raises UserError where there is none, or no single one."""
    same = [entry for entry in _entries(kind) if entry.name == name]
    own = [entry for entry in same if package_of(entry) == OWN]
    packages = sorted({package_of(entry) for entry in same} - {OWN})
    if own:
        for package in packages:
            _warn_once(
                f"The package {package} registers the {kind} {name!r}, which is scorebench's own; its is not used."
            )
        return own[0]
    if len(packages) > 1:
        raise UserError(f"The {kind} {name!r} is registered by {' and by '.join(packages)}; uninstall all but one.")
    if same:
        return same[0]
    close = difflib.get_close_matches(name, names(kind), n=1)
    hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(names(kind))}."
    raise UserError(f"There is no {kind} {name!r}; {hint}")


def package_of(entry: EntryPoint) -> str:
    """The package that registered an entry point, as package indexes name it."""
    return entry.dist.name if entry.dist else entry.module.partition(".")[0]


def package_behind(fault: BaseException) -> str | None:
    """The package of another author's task, method or engine in whose code an exception arose; None if in none."""
    packages = {
        entry.module.partition(".")[0]: package_of(entry)
        for kind in ("task", "method", "engine")
        for entry in _entries(kind)
        if package_of(entry) != OWN
    }
    for frame, _ in traceback.walk_tb(fault.__traceback__):
        top = str(frame.f_globals.get("__name__")).partition(".")[0]
        if top in packages:
            return packages[top]
    return None


def _entries(kind: Kind) -> Iterator[EntryPoint]:
    """The entry points of a kind; one that is no "module:object" at all is named on standard error and left out."""
    for entry in entry_points(group=f"scorebench.{kind}s"):
        if EntryPoint.pattern.match(entry.value):
            yield entry
        else:
            what = f"the {kind} {entry.name!r} as {entry.value!r}, which is no module:object"
            _warn_once(f"The package {package_of(entry)} registers {what}; it is left out.")


def _loaded(kind: Kind, entry: EntryPoint) -> tuple[Any, str | None]:
    """What an entry point registers, and what is wrong with it, if anything."""
    try:
        found = entry.load()
        return found, next(_faults(kind, entry.name, found), None)
    except (Exception, SystemExit) as fault:  # whatever another package's code does when it is imported
        return None, f"cannot be imported ({type(fault).__name__}: {fault!s:.200})"


def _faults(kind: Kind, name: str, found: Any) -> Iterator[str]:
    """What keeps an object from being used as a task, method or engine, in words that follow its name."""
    from scorebench.api.protocols import Method, Task, Trained

    if kind == "engine":
        if not callable(found):
            yield "cannot be called"
        return
    if isinstance(found, type):
        yield "is a class where an object is needed: register an instance of it"
        return
    protocols = [Task] if kind == "task" else [Method, Trained] if hasattr(found, "train") else [Method]
    for member, expected in ((m, e) for protocol in protocols for m, e in vars(protocol).items() if m[0] != "_"):
        if not hasattr(found, member):
            yield f"has no {member!r}"
        elif isinstance(expected, property) and not isinstance(getattr(found, member), str):
            yield f"has a {member!r} that is no text"
        elif not isinstance(expected, property) and not callable(getattr(found, member)):
            yield f"has a {member!r} that cannot be called"
    if found.name != name:
        yield f"calls itself {found.name!r}"


_said: set[str] = set()


def _warn_once(sentence: str) -> None:
    if sentence not in _said:
        _said.add(sentence)
        print(f"scorebench: {sentence}", file=sys.stderr)
