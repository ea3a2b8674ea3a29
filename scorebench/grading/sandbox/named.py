"""Named tuples on their way between the candidate and the tests: tuples whose places also have names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class NamedValues(tuple):
    """A named tuple of the program, as the tests hold it: a tuple, with the names that the program gave its places.

    It is equal to what the tuple of its values is equal to, as a named tuple is. Nothing of the program's class is in
    it but names.
    """

    _cls: Any  # stands for the program's class
    _name: str
    _fields: tuple[str, ...]

    @staticmethod
    def of(value: Any, refer: Callable[[Any], Any]) -> tuple[Any, str, tuple[str, ...]] | None:
        """(reference to the class, its name, its fields) of a named tuple; None for anything else."""
        if type(value) is NamedValues:
            return refer(value._cls), value._name, value._fields
        kind = type(value)
        fields = kind.__dict__.get("_fields") if issubclass(kind, tuple) else None
        if type(fields) is not tuple or len(fields) != tuple.__len__(value):
            return None
        if not all(type(field) is str and field.isidentifier() for field in fields):
            return None
        return refer(kind), str(kind.__name__)[:100], fields

    @staticmethod
    def rebuilt(named: Any, values: Any, resolve: Callable[[Any], Any]) -> tuple:
        """The named tuple again: on the program's side of its own class, else a NamedValues. Bad data: ValueError."""
        reference, name, fields = named
        cls = resolve(reference)
        if issubclass(type(cls), type) and issubclass(cls, tuple):
            return tuple.__new__(cls, values)
        if not (type(name) is str and type(fields) is type(values) is tuple and len(fields) == len(values)):
            raise ValueError("not a named tuple")
        if not all(type(field) is str and field.isidentifier() and not field.startswith("__") for field in fields):
            raise ValueError("not the fields of a named tuple")
        return NamedValues._made(cls, name[:100], fields, values)

    @staticmethod
    def _made(cls: Any, name: str, fields: tuple[str, ...], values: Any) -> NamedValues:
        made = NamedValues(values)
        made.__dict__.update(zip(fields, made, strict=True))
        made.__dict__.update(_cls=cls, _name=name, _fields=fields)
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._cls._attribute_of(self, name)  # a method or a property of the program's class

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._fields, self, strict=True))

    def _replace(self, **changes: Any) -> NamedValues:
        values = {**self._asdict(), **changes}
        if len(values) != len(self):
            raise ValueError(f"Got unexpected field names: {sorted(values.keys() - set(self._fields))!r}")
        return self._made(self._cls, self._name, self._fields, values.values())

    def __repr__(self) -> str:
        return f"{self._name}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"
