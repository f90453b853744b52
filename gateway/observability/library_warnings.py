"""Warnings of libraries as events of the gateway's own, without the libraries' words.

What a parser or a codec complains of may quote the file it reads, so that a sender of files
could write a patient's name, or events, into the log. Told are the library and the place in its
source, where its words can be looked up.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections import Counter, deque
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

log = structlog.get_logger()

_MOST_PLACES = 10
_REMEMBERED_REQUESTS = 4096


class _Complaints:
    """Places in libraries that warned while one study was on its way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # image work adds from its own threads
        self._places: Counter[str] = Counter()
        self.over = False  # what was begun on the way may outlive it

    def add(self, place: str) -> None:
        with self._lock:
            self._places[place] += 1

    def told(self) -> dict[str, Any]:
        """Return the fields of the event; none where nothing was complained of."""
        with self._lock:
            if not self._places:
                return {}
            places = [place for place, _ in self._places.most_common(_MOST_PLACES)]
            return {"count": self._places.total(), "places": sorted(places)}


_collected: ContextVar[_Complaints | None] = ContextVar("library_warnings", default=None)
# A study that is accepted first and processed later comes by twice, under one request_id.
_told_requests: deque[str] = deque(maxlen=_REMEMBERED_REQUESTS)


@contextmanager
def one_event(*, repeated: bool = False) -> Iterator[None]:
    """Log all that libraries warn of in the block as one event at its end.

    A block within another is a part of it.

    Parameters
    ----------
    repeated
        The request that is bound may have been told of before; then it is not told of again.
    """
    if _active() is not None:
        yield
        return
    complaints = _Complaints()
    try:
        with _collecting(complaints):
            yield
    finally:
        request_id = structlog.contextvars.get_contextvars().get("request_id")
        if (told := complaints.told()) and not (repeated and request_id in _told_requests):
            if request_id is not None:
                _told_requests.append(request_id)
            log.warning("library.warnings", **told)


@contextmanager
def told_before() -> Iterator[None]:
    """Drop what libraries warn of in the block: a stored image is read once more."""
    with _collecting(_Complaints()):
        yield


@contextmanager
def _collecting(complaints: _Complaints) -> Iterator[None]:
    """Collect what libraries warn of in the block, and nothing after it."""
    token = _collected.set(complaints)
    try:
        yield
    finally:
        _collected.reset(token)
        complaints.over = True


def _active() -> _Complaints | None:
    complaints = _collected.get()
    return None if complaints is None or complaints.over else complaints


def take_over() -> None:
    """Hand all that the warnings module shows to the log."""
    warnings.filterwarnings("always", category=UserWarning)  # the default remembers each text
    warnings.showwarning = _show


def _show(  # noqa: PLR0917 - as `warnings.showwarning` has them
    message: Warning | str,  # noqa: ARG001
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    place = f"{_source(filename)}:{lineno}"
    if (complaints := _active()) is not None:
        complaints.add(place)
    else:
        log.warning("library.warning", category=category.__name__, place=place)


class LibraryRecords(logging.Filter):
    """A log handler that drops what libraries say below a warning, and collects their warnings."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the record is an event of its own."""
        if is_own(record):
            return True
        if record.levelno < logging.WARNING:
            return False
        complaints = _active()
        if complaints is None or record.levelno > logging.WARNING or record.exc_info:
            return True
        complaints.add(_place(record))
        return False


def is_own(record: logging.LogRecord) -> bool:
    """Return True if structlog made it: its events come as mappings."""
    return isinstance(record.msg, dict)


def without_words(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Put the place where a library logged in the place of what it said."""
    record: logging.LogRecord = event["_record"]
    event["event"] = "library.message"
    event["logger"] = record.name
    event["place"] = _place(record)
    return event


def _place(record: logging.LogRecord) -> str:
    return f"{_source(record.pathname)}:{record.lineno}"


def _source(filename: str) -> str:
    """Return the file as its package knows it."""
    path = Path(filename)
    parts = path.parts
    if "site-packages" in parts:
        return "/".join(parts[parts.index("site-packages") + 1 :])
    return "/".join(parts[-2:])
