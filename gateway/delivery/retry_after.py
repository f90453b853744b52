"""The time that an HTTP server asks to be left alone for."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import aiohttp

_LONGEST_S = 3600.0


def retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """Return the seconds of Retry-After (RFC 9110, 10.2.3), 3600 at most; None without it."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        seconds = float(value[:9])
    else:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at.astimezone(dt.UTC) - dt.datetime.now(dt.UTC)).total_seconds()
    return min(max(0.0, seconds), _LONGEST_S)
