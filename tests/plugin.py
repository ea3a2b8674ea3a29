"""Installs a package with entry points into a folder, as pip would: its modules, and a .dist-info beside them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, name: str, modules: Mapping[str, str], entry_points: Mapping[str, Mapping[str, str]]) -> None:
    """modules: source by module name. entry_points: by kind ("task", ...), the values by name."""
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)
    info = folder / f"{name.replace('-', '_')}-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    groups = [
        "\n".join([f"[scorebench.{kind}s]", *(f"{key} = {value}" for key, value in entries.items())])
        for kind, entries in entry_points.items()
    ]
    (info / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
