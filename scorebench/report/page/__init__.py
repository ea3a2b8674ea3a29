"""The runs as one HTML page: figures, flips between attempts, and every episode to read."""

from scorebench.report.page.build import Page, page

__all__ = ["Page", "page"]
