"""Folder stores to copy, in which something happens meanwhile."""

import datetime as dt
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gateway.backup.files import CopiedFiles, Files
from gateway.backup.studies import StudyCopies
from gateway.results.deletion import note_key
from gateway.results.documents import PendingImages, StudyDocument, StudyRecord
from gateway.results.tombstone import Closing, Reason
from gateway.storage.documents import stored_form
from gateway.storage.layout import SUBMISSIONS
from gateway.work.documents import Submission
from gateway.work.keys import WorkId, entry_key, to_the_second

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
ID = "20260131T120000000000Z-00"
IMAGE = f"images/{'a' * 64}/image-00c0ffee.png"


@dataclass(frozen=True)
class Changing(Files):
    """Objects of a store, in which something happens once.

    Parameters
    ----------
    events
        By the call before which it happens, such as "keys parked/".
    """

    events: dict[str, Callable[[], object]] = field(default_factory=dict)

    def keys(self, prefix: str) -> list[str]:
        self._happen(f"keys {prefix}")
        found = super().keys(prefix)
        self._happen(f"after keys {prefix}")
        return found

    def read(self, key: str) -> bytes | None:
        self._happen(f"read {key}")
        return super().read(key)

    def has(self, key: str) -> bool:
        self._happen(f"has {key}")
        return super().has(key)

    def _happen(self, call: str) -> None:
        self.events.pop(call, lambda: None)()


class Store:
    """A folder store that is written file by file, and its copy."""

    def __init__(self, folder: Path) -> None:
        self.root, copy = folder / "store", folder / "copy"
        for each in (self.root, copy):
            each.mkdir(parents=True)
        self.prefix = ""  # of the tenant whose objects are written
        self.events: dict[str, Callable[[], object]] = {}
        self.files = CopiedFiles(Changing(self.root, events=self.events), Files(copy))

    def put(self, key: str, document: BaseModel | bytes = b"{}") -> str:
        path = self.root / (self.prefix + key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document if isinstance(document, bytes) else stored_form(document))
        return key

    def move(self, key: str, to: str) -> None:
        (self.root / to).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).rename(self.root / to)

    def remove(self, key: str) -> None:
        (self.root / key).unlink()

    def put_study(self, study_id: str, **news: Any) -> str:
        """Write a study that came at noon, and changed just now."""
        record = StudyRecord.begun(study_id).changed(received_at=NOON, **news)
        return self.put_record(record)

    def put_record(self, record: StudyRecord) -> str:
        document = StudyDocument(schema_="radstream.result/2", record=record)
        return self.put(f"results/{record.study_id}/result.json", document)

    def put_pending(self, study_id: str, due: dt.datetime | None = None) -> str:
        """Write a study with a submission that waits; return the key of its entry."""
        self.put_study(study_id, pending=(PendingImages(id=ID, images=1, due=due),))
        self.put(f"results/{study_id}/submissions/{ID}/image-1", b"an image")
        work = WorkId(study_id, ID)
        key = entry_key(SUBMISSIONS, work, due or to_the_second(work.received_at))
        return self.put(key, submission())

    def delete(self, study_id: str) -> None:
        """Remove a study, as a deletion does that is over."""
        shutil.rmtree(self.root / f"results/{study_id}")

    def close(self, study_id: str, **news: Any) -> str:
        """Put a closing in place of a study; return the key of its note."""
        closing = Closing(study_id=study_id, requested_at=NOON, reason=Reason.REQUEST, **news)
        document = StudyDocument(schema_="radstream.result/2", closing=closing)
        self.put(f"results/{study_id}/result.json", document)
        return self.put(note_key(study_id), closing)

    def bring(self, *study_ids: str) -> list[str]:
        """Copy studies; return the keys of the copy."""
        with ThreadPoolExecutor(2) as threads:
            StudyCopies(self.files, threads).bring(study_ids)
        return self.copied()

    def end_deleted(self) -> list[str]:
        """Take deleted studies out of the copy; return the keys that are left."""
        with ThreadPoolExecutor(2) as threads:
            StudyCopies(self.files, threads).end_deleted()
        return self.copied()

    def copied(self) -> list[str]:
        return self.files.copy.keys("")


def submission(**news: Any) -> Submission:
    return Submission(received_at=NOON, parts=(), image_bytes=1, context={}, **news)
