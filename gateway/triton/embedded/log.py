"""Triton's log lines as structured events."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

import structlog

# glog's prefix: severity, month and day, time, thread, file and line, as in
#   I1123 00:13:48.123456 123 server.cc:42] "message"
# gRPC's own lines differ in digits and blanks only.
_GLOG = re.compile(
    r"(?P<severity>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ (?P<source>[^\]]+)\] *(?P<message>.*)"
)
_LEVELS = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR, "F": logging.CRITICAL}

# What a server on a CPU says at every start, as an error, and at every stop, without prefix.
_EXPECTED = re.compile(
    r"CudaDriverHelper has not been initialized\.|Signal \(15\) received\."
    r"|unable to create stream for .*: CUDA driver version is insufficient .*"
)


@dataclass(frozen=True, slots=True)
class TritonLogLine:
    """One line of the server's output.

    Attributes
    ----------
    level : int
        A level of the standard `logging` module.
    message : str
        The text without prefix, quotes and escapes.
    source : str or None
        Triton's source file and line; None for what a backend process printed.
    """

    level: int
    message: str
    source: str | None


LogSink = Callable[[TritonLogLine], None]


def parse_line(line: str) -> TritonLogLine | None:
    """Return the line as level, message and source; None for the tables that Triton draws.

    The tables at start-up repeat what single lines have said before them. A line without glog's
    prefix comes from a model's backend process, where only faults print: it is a warning.
    """
    found = _GLOG.fullmatch(line)
    if found is None:
        message, level, source = line.rstrip(), logging.WARNING, None
    else:
        message = _unquoted(found["message"])
        level, source = _LEVELS[found["severity"]], found["source"]
    if not message or message.startswith(("+-", "| ")):
        return None
    return TritonLogLine(logging.DEBUG if _EXPECTED.fullmatch(message) else level, message, source)


def _unquoted(message: str) -> str:
    if not message.startswith('"'):
        return message
    try:
        return str(json.loads(message, strict=False))
    except json.JSONDecodeError:  # cut off, or quoted for another reason
        return message


def log_line(line: TritonLogLine) -> None:
    """Send the line to structlog as the event `triton.log`."""
    structlog.get_logger("triton").log(
        line.level, "triton.log", message=line.message, source=line.source
    )
