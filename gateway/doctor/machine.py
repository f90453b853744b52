"""The machine's limits: disk, open files, inotify."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from typing import TYPE_CHECKING

from gateway.doctor.findings import Check, FaultError, Finding, Outcome, Side
from gateway.dropfolder.watched_folder.inotify import Inotify, NotificationError, limit
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gateway.settings import Settings

_GIB = 2**30
# Below the first a day of a busy site does not fit; below the second not even an hour's.
_FEW_BYTES, _FEWEST_BYTES = 5 * _GIB, _GIB // 2
# Of libraries, logs and the files in hand, beside connections.
_OTHER_FILES = 128


def machine_findings(settings: Settings) -> Iterator[Finding]:
    """Yield what the machine's limits are like; a folder that is missing is not made."""
    for variable, folder in _folders(settings):
        try:
            free = _free_bytes(variable, folder)
        except FaultError as error:
            yield error.of(Check.MACHINE, str(folder))
        else:
            detail = f"writable, {free / _GIB:.1f} GiB free"
            yield Finding(Check.MACHINE, str(folder), Outcome.OK, detail)
    yield _open_files(settings)
    if settings.store.kind == "folder" and settings.dropfolder.watch is not False:
        yield _inotify()


def _folders(settings: Settings) -> Iterator[tuple[str, Path]]:
    if settings.store.kind == "folder":
        yield _name("store", "folder"), settings.store.folder
    if settings.telemetry.kind == "file":
        yield _name("telemetry", "folder"), settings.telemetry.folder
    if settings.telemetry.kind != "none":
        yield _name("telemetry", "spool_folder"), settings.telemetry.spool_folder


def _name(group: str, name: str) -> str:
    return f"{PREFIX}{group}{DELIMITER}{name}".upper()


def _free_bytes(variable: str, folder: Path) -> int:
    """Return the bytes left where a folder is, or will be made."""
    there = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not there.is_dir():
        raise FaultError(f"{there} is no folder", Side.GATEWAY, f"{variable}: name a folder")
    try:
        with tempfile.NamedTemporaryFile(dir=there, prefix=".doctor-"):
            free = shutil.disk_usage(there).free
    except OSError as error:
        raise FaultError(
            f"it cannot be written to: {error.strerror}",
            Side.GATEWAY,
            f"give the account {_account()} the folder {there}, or change {variable}",
        ) from error
    if free < _FEW_BYTES:
        raise FaultError(
            f"{free / _GIB:.2f} GiB are free",
            Side.GATEWAY,
            f"free space where {there} is, or move {variable}",
            Outcome.FAULT if free < _FEWEST_BYTES else Outcome.WARNING,
        )
    return free


def _account() -> str:
    return f"with uid {os.geteuid()}"


def _open_files(settings: Settings) -> Finding:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = settings.http.connections + settings.dimse.associations + _OTHER_FILES
    needed += 2 * settings.store.connections if settings.store.kind == "s3" else 0
    target = "open files"
    if soft != resource.RLIM_INFINITY and soft < needed:
        return Finding(
            *(Check.MACHINE, target, Outcome.FAULT),
            f"a process may have {soft} open; the settings let the gateway need {needed}",
            side=Side.GATEWAY,
            change=f"`ulimit -n {needed}`, or LimitNOFILE={needed} of the service; or a lower "
            f"{_name('http', 'connections')}",
        )
    detail = f"a process may have {soft} open, of which the gateway may need {needed}"
    return Finding(Check.MACHINE, target, Outcome.OK, detail)


def _inotify() -> Finding:
    try:
        Inotify().close()
    except NotificationError as error:
        name = error.limit or "max_user_instances"
        return Finding(
            *(Check.MACHINE, "inotify", Outcome.WARNING),
            f"none is left ({error.reason}): the drop folder is polled",
            side=Side.GATEWAY,
            change=f"raise fs.inotify.{name} with sysctl, now {limit(name)}",
        )
    detail = f"folders that may be watched: {limit('max_user_watches')}"
    return Finding(Check.MACHINE, "inotify", Outcome.OK, detail)
