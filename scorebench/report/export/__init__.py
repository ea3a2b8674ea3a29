"""Writes a finished run in the formats of other tools: `scorebench export`."""

from scorebench.report.export.exported import FORMATS, Exported, export, read_run

__all__ = ["FORMATS", "Exported", "export", "read_run"]
