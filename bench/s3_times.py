"""Runs `radstream` and notes when it waited for S3: `python -m bench.s3_times FILE serve`.

At its end it writes to FILE a JSON array of [began, ended, "METHOD path"] for each request, in
seconds of the system's monotonic clock, from its sending to its answer. What comes before and after
in botocore and aiobotocore (signing, serialising, parsing) is the gateway's own, and so is reading
the body of an object that is fetched; obstore signs in threads of its own, within the time noted.
"""

from __future__ import annotations

import atexit
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
from aiobotocore.httpsession import AIOHTTPSession

from gateway.cli.main import main

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_times: list[tuple[float, float, str]] = []
_send = AIOHTTPSession.send


async def _timed(session: AIOHTTPSession, request: Any) -> Any:
    began = time.perf_counter()
    try:
        return await _send(session, request)
    finally:
        name = f"{request.method} {urlsplit(request.url).path}"
        _times.append((began, time.perf_counter(), name))


def _noted(method: str, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def noted(bucket: Any, key: str, *given: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return await call(bucket, key, *given, **options)
        finally:
            _times.append(
                (began, time.perf_counter(), f"{method} /{bucket.config['bucket']}/{key}")
            )

    return noted


if __name__ == "__main__":
    file = Path(sys.argv.pop(1))
    atexit.register(lambda: file.write_text(json.dumps(_times)))
    AIOHTTPSession.send = _timed
    for method in ("get", "put", "delete"):
        call = getattr(obstore, f"{method}_async")
        setattr(obstore, f"{method}_async", _noted(method.upper(), call))
    main(prog_name="radstream")
