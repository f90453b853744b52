"""`radstream backup`: copies a folder store, and the audit trail beside it, while gateways work."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.backup.audit_trail import bring_audit_trail
from gateway.backup.folder import UnusableFolderError, backup_folder
from gateway.backup.store import StoreBackup
from gateway.cli.environment import read_settings
from gateway.cli.json_output import json_option, tell
from gateway.cli.progress import progress

if TYPE_CHECKING:
    from gateway.backup.store import Copied
    from gateway.settings import Settings

_IN_S3 = (
    "the store is in S3, which keeps versions of its objects and copies them to a second region: "
    "see docs/backup.md, Backup on AWS"
)


class NotBackedUpError(click.ClickException):
    """No backup was made."""

    exit_code = 2


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@json_option("the counts")
def backup(folder: Path, *, as_json: bool) -> None:
    """Copy a folder store to FOLDER, new or empty, while gateways use it.

    The store is the one that the settings name. FOLDER/store has it with all tenants, FOLDER/audit
    the files of the audit trail; they are there once all is on disk. End with status 1 if objects
    could not be read, and the copy lacks them; with 2 if no backup was made.
    """
    settings = read_settings()
    store = settings.store.folder
    if settings.store.kind != "folder":
        raise NotBackedUpError(_IN_S3)
    if not store.is_dir():
        raise NotBackedUpError(f"there is no folder {store}")
    try:
        copied = _back_up(settings, folder)
    except UnusableFolderError as error:
        raise NotBackedUpError(str(error)) from error
    except OSError as error:  # less its file, whose name may hold a study_id
        raise NotBackedUpError(
            f"{folder} is no backup: {error.strerror or 'input/output error'}"
        ) from error
    text = ", ".join(f"{name}: {count}" for name, count in copied._asdict().items())
    tell(copied._asdict(), text, as_json=as_json)
    sys.exit(1 if copied.unreadable else 0)


def _back_up(settings: Settings, folder: Path) -> Copied:
    """Return what was copied of the store and of the audit trail."""
    store, audit = settings.store.folder, settings.audit
    trail = audit.folder if audit.kind == "file" and audit.folder.is_dir() else None
    with backup_folder(folder, outside=[store, *filter(None, [trail])]) as parts:
        made = StoreBackup(store, parts / "store")
        with progress("studies", made.count()) as shown:
            copied = made.make(shown.step)
        if trail is not None:  # at last, so that it tells of each deletion that the store has
            unreadable = bring_audit_trail(trail, parts / "audit")
            copied = copied._replace(unreadable=copied.unreadable + unreadable)
    return copied
