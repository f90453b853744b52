"""Text for people to read: a character or more, and no control characters."""

from __future__ import annotations

PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]+$"
