"""Reads replies that others recorded, in the formats of docs/files.md."""

from scorebench.storage.transcripts.dialogue import LONGEST_REPLY, PROGRAMS, Dialogue
from scorebench.storage.transcripts.reader import UNGRADED, Transcript, Transcripts, read_transcripts

__all__ = [
    "LONGEST_REPLY",
    "PROGRAMS",
    "UNGRADED",
    "Dialogue",
    "Transcript",
    "Transcripts",
    "read_transcripts",
]
