"""Pages are Jinja templates: NAME.md.jinja in this folder."""

from __future__ import annotations

from typing import Any


def rendered(name: str, **words: Any) -> str:
    """The page of a template. A word that the template wants and that is not given is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    jinja = Environment(
        loader=PackageLoader("scorebench.reproduction", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return jinja.get_template(f"{name}.md.jinja").render(words)
