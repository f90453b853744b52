"""Runs `radstream` and notes when it waited for S3: `python -m bench.s3_times FILE serve`.

At its end it writes to FILE a JSON array of [began, ended] for each request, in seconds of the
system's monotonic clock, from its sending to its answer: what comes before and after in botocore
and aiobotocore (signing, serialising, parsing) is the gateway's own, and so is reading the body of
an object that is fetched.
"""

import atexit
import json
import sys
import time
from pathlib import Path
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession

from gateway.cli import main

_times: list[tuple[float, float]] = []
_send = AIOHTTPSession.send


async def _timed(session: AIOHTTPSession, request: Any) -> Any:
    began = time.perf_counter()
    try:
        return await _send(session, request)
    finally:
        _times.append((began, time.perf_counter()))


if __name__ == "__main__":
    file = Path(sys.argv.pop(1))
    atexit.register(lambda: file.write_text(json.dumps(_times)))
    AIOHTTPSession.send = _timed
    main(prog_name="radstream")
