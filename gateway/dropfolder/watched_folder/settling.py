"""Files that came or changed, until they have been copied to their end."""

from __future__ import annotations

import stat
import time
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog

from gateway.dropfolder.objects import IMAGE_ENDINGS, SIDECAR_ENDING
from gateway.dropfolder.watched_folder.half_copied import HalfCopied, Sign, half_copied
from gateway.dropfolder.watched_folder.scanning import signature_of, status_of

if TYPE_CHECKING:
    import os

log = structlog.get_logger()

# The longest that a file waits for another of its name that is still written to.
_TOGETHER_S: Final = 3600.0


class Whole(NamedTuple):
    """A file that is copied to its end.

    Parameters
    ----------
    path
        Of the file.
    status
        As it is now.
    was_there
        As it was added with.
    """

    path: str
    status: os.stat_result
    was_there: bool


class _Seen(NamedTuple):
    """A file as it was when it had last changed, and what speaks against its being whole.

    There is no state of a file until it is first looked at.
    """

    was_there: bool
    state: tuple[int, ...] | None = None
    since: float = 0.0
    doubt: HalfCopied | None = None


class Settling:
    """Files that may still be written to.

    No system tells when the last writer closes a file, and a copy over the network may pause. A
    file counts as whole when nothing of it has changed for a while, and for a longer while where
    something speaks against it. A picture and its sidecar, which share their name up to its ending,
    are whole together.

    Parameters
    ----------
    settle_s
        Seconds without a change.
    doubtful_settle_s
        The same for a file that looks half-copied.

    Attributes
    ----------
    numbered : bool
        See `FileSystem.numbers_files`.
    """

    def __init__(self, *, settle_s: float, doubtful_settle_s: float) -> None:
        self.numbered = True
        self._settle_s = settle_s
        self._doubtful_settle_s = max(settle_s, doubtful_settle_s)
        self._seen: dict[str, _Seen] = {}

    def __bool__(self) -> bool:
        return bool(self._seen)

    def add(self, path: str, *, was_there: bool) -> None:
        """Wait for a file, unless it is waited for already."""
        if path not in self._seen:
            self._seen[path] = _Seen(was_there)

    def take(self) -> list[Whole]:
        """Return the files that are whole by now, which are waited for no longer.

        The wait of what was added since the last call begins now, for all at once: files that were
        found together are told together, and so in their order.
        """
        now = time.monotonic()
        quiet: list[Whole] = []
        for path, seen in list(self._seen.items()):
            status = status_of(path)
            if status is None or stat.S_ISDIR(status.st_mode):
                del self._seen[path]
            elif (state := self._state(status)) != seen.state:
                self._seen[path] = seen._replace(state=state, since=now, doubt=None)
            elif self._is_quiet(path, seen, now):
                quiet.append(Whole(path, status, seen.was_there))
        if not quiet:
            return []
        written = self._seen.keys() - {file.path for file in quiet}
        busy = {stem for path in written for stem in _stems(path)}
        late = now - _TOGETHER_S
        whole = [
            file
            for file in quiet
            if busy.isdisjoint(_stems(file.path)) or self._seen[file.path].since <= late
        ]
        for file in whole:
            del self._seen[file.path]
        return whole

    def _is_quiet(self, path: str, seen: _Seen, now: float) -> bool:
        """Return True if the file has not changed for as long as it takes."""
        quiet_s = now - seen.since
        if quiet_s < self._settle_s:
            return False
        # Who has it open may close it at any time; nothing else goes without a change.
        lasts = seen.doubt is not None and seen.doubt.sign is not Sign.OPEN
        if lasts and quiet_s < self._doubtful_settle_s:
            return False
        doubt = half_copied(path)
        if doubt is None:
            return True
        if seen.doubt is None:
            log.info("dropfolder.unfinished", sign=doubt.sign.value)
        elif doubt.sign is seen.doubt.sign and doubt.written != seen.doubt.written:
            seen = seen._replace(since=now)  # though neither its length nor its time says so
        self._seen[path] = seen._replace(doubt=doubt)
        return seen.doubt is not None and now - seen.since >= self._doubtful_settle_s

    def _state(self, status: os.stat_result) -> tuple[int, ...]:
        """Everything that a write changes: a copy may set length and time in advance."""
        signature = signature_of(status, numbered=self.numbered)
        # Programs that serve a file system make the other numbers up, some anew each time.
        return (*signature, status.st_ctime_ns, status.st_blocks) if self.numbered else signature


def _stems(path: str) -> list[str]:
    """Return the names that an image and its sidecar have in common, however each is spelt.

    ``front.jpg.json`` is the sidecar of ``front.jpg``, and else of ``front.jpg.jpg``.
    """
    folder, slash, name = path.rpartition("/")
    base, _, ending = name.rpartition(".")
    # A number is no ending: DICOM files are called by their UID.
    base = name if not base or (ending.isascii() and ending.isdecimal()) else base
    bases = [base]
    picture, _, kind = base.rpartition(".")
    if picture and kind.lower() in IMAGE_ENDINGS and ending.lower() == SIDECAR_ENDING:
        bases.append(picture)
    return [unicodedata.normalize("NFC", folder + slash + each) for each in bases]
