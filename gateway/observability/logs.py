"""Structured logging for the gateway, its server and its libraries: one line an event.

The gateway's own events have words; what libraries say has none
(`gateway.observability.library_warnings`).
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from typing import TYPE_CHECKING, Any

import structlog

from gateway.observability import library_warnings
from gateway.observability.printed_output import take_over_stderr
from gateway.observability.tracing import trace_id

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import TracebackType

    from gateway.settings import LogSettings


_MOST_CAUSES = 5


def configure(settings: LogSettings, *, worker: int | None = None) -> None:
    """Send every event to standard error in one format, and nothing else there.

    Standard error is the log's from now on: what C code prints, the warnings module shows, or
    Python says of an uncaught error comes as an event.

    Parameters
    ----------
    worker
        Number of this process, where the gateway has several.
    """

    def add_worker(
        _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        return {**event, "worker": worker}

    shared: list[structlog.typing.Processor] = [
        *([] if worker is None else [add_worker]),
        structlog.contextvars.merge_contextvars,
        _add_trace_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _drop_colour_copy,
        _place_without_words,
    ]
    last: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(take_over_stderr())
    handler.addFilter(library_warnings.LibraryRecords())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, library_warnings.without_words],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    # The multipart parser warns of every broken body; the sender hears of it in the answer.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    library_warnings.take_over()
    sys.excepthook = _tell_uncaught
    threading.excepthook = lambda uncaught: _tell_error(uncaught.exc_value)
    sys.unraisablehook = lambda uncaught: _tell_error(uncaught.exc_value)


def _tell_uncaught(
    _kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    if not isinstance(error, KeyboardInterrupt):
        _tell_error(error)


def _tell_error(error: BaseException | None) -> None:
    structlog.get_logger().critical("process.unexpected_error", exc_info=error)


def _add_trace_id(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Name the trace that the event belongs to, where there is one."""
    if current := trace_id():
        event["trace_id"] = current
    return event


def _drop_colour_copy(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop the second, coloured copy of the message that uvicorn attaches to its records."""
    event.pop("color_message", None)
    return event


def _place_without_words(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Log of an exception its type and where it came from, cause by cause, but not its message.

    A library's message may quote what it stumbled over, and that may be a patient's name.
    """
    exc_info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if exc_info is True else exc_info
    if isinstance(error, tuple):
        error = error[1]
    places: list[dict[str, Any]] = []
    while isinstance(error, BaseException) and len(places) < _MOST_CAUSES:
        frames = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)
        ]
        places.append({"error": type(error).__qualname__, "frames": frames})
        error = error.__cause__ or error.__context__
    if places:
        event["exception"] = places
    return event
