"""Verification of one study: what lies under its folder, and what of it names what."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import re
from typing import TYPE_CHECKING

from gateway.results import deletion
from gateway.results.documents import LaterIdentity, Reading, StandingFile, StudyDocument
from gateway.results.keys import EXTENSIONS, study_folder
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.result import StudyResult
from gateway.storage.layout import PARKED
from gateway.verification.findings import Kind, Look

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.storage.protocol import ObjectStore

_EXTENSIONS = {kind.value: extension for kind, extension in EXTENSIONS.items()}
_IMAGE = re.compile(r"images/([0-9a-f]{64})/image\.(?:jpg|png|dcm)")
_READING = re.compile(r"images/([0-9a-f]{64})/[^/]+\.json")
_HEATMAP = re.compile(r"(images/[0-9a-f]{64}/[^/]+)\.heatmap(?:-\d+)?\.png")
_NOT_PROCESSED = re.compile(r"not_processed/([0-9a-f]{64})\.json")
_STANDING = re.compile(r"names/[^/]+/\d+\.json")
_IDENTITY = re.compile(r"identity/(\d+)\.json")
_TOMBSTONE = re.compile(r"(\d{8}T\d{12}Z)\.json")


async def look_at_study(objects: ObjectStore, study_id: str) -> Look:
    """Return what is amiss with a study; its folder may be gone by now."""
    folder = study_folder(study_id)
    look = Look(objects, await objects.keys(folder))
    if look.keys:
        await _StudyLook(look, study_id, folder).run()
    return look


class _StudyLook:
    """A look at one study's objects, by their names below its folder."""

    def __init__(self, look: Look, study_id: str, folder: str) -> None:
        self._look = look
        self._study_id = study_id
        self._folder = folder
        self._names = {key.removeprefix(folder) for key in look.keys}
        self._images = {found[1] for name in self._names if (found := _IMAGE.fullmatch(name))}
        self._readings = {name for name in self._names if _READING.fullmatch(name)}

    async def run(self) -> None:
        """Look at everything, one object after the other: one image is in memory at a time."""
        if await self._is_deleted():
            return
        if "study.json" in self._names:
            await self._look.document(StudyDocument, f"{self._folder}study.json")
        elif any(not name.startswith("not_processed/") for name in self._names):
            # Of a study of which all came to nothing there are entries alone.
            self._look.missing(f"{self._folder}study.json", "what lies beside it")
        kinds: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Awaitable[None]]], ...] = (
            (_IMAGE, self._image),
            (_READING, self._reading),
            (_HEATMAP, self._heatmap),
            (_NOT_PROCESSED, self._open_image),
            (_STANDING, self._standing),
            (_IDENTITY, self._identity),
        )
        for name in sorted(self._names - {"study.json", "result.json"}):
            for pattern, check in kinds:
                if found := pattern.fullmatch(name):
                    await check(found)
                    break
            else:
                self._tell(Kind.ORPHAN_OBJECT, name, "RadStream keeps no such object.")
        await self._view()

    async def _is_deleted(self) -> bool:
        """Return True if nothing more is to be said of a study that was, or is being, deleted."""
        notes = await self._look.objects.keys(deletion.deletion_folder(self._study_id))
        names = [key.rpartition("/")[2] for key in notes]
        if "closed.json" in names:  # a gateway removes what is left
            return True
        times = [found[1] for name in names if (found := _TOMBSTONE.fullmatch(name))]
        if not times:
            return False
        began = await self._received_at()
        last = dt.datetime.strptime(max(times), "%Y%m%dT%H%M%S%f%z")
        if began is not None and began > last:  # its study_id came again
            return False
        self._tell(Kind.DELETED_STUDY, "", "It was deleted and is there again: delete it anew.")
        return True

    async def _received_at(self) -> dt.datetime | None:
        """Return when the study's first document came, as far as that can be read."""
        look = Look(self._look.objects)
        study = await look.document(StudyDocument, f"{self._folder}study.json")
        return None if study is None else study.received_at

    async def _image(self, found: re.Match[str]) -> None:
        data = await self._look.data(f"{self._folder}{found[0]}")
        if data is None:
            return
        digest = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
        if digest != found[1]:
            self._tell(Kind.ALTERED_IMAGE, found[0], "Its SHA-256 is not the one in its key.")
        if not any(name.startswith(f"images/{found[1]}/") for name in self._readings):
            self._tell(Kind.ORPHAN_OBJECT, found[0], "No reading is of this image.")

    async def _reading(self, found: re.Match[str]) -> None:
        key = f"{self._folder}{found[0]}"
        reading = await self._look.document(Reading, key)
        if reading is None:
            return
        named = f"images/{reading.sha256}/{reading.model.name}-{reading.model.version}.json"
        extension = _EXTENSIONS.get(reading.media_type)
        if reading.study_id != self._study_id or named != found[0] or extension is None:
            self._misplaced(found[0])
        elif (image := f"images/{reading.sha256}/image.{extension}") not in self._names:
            self._look.missing(f"{self._folder}{image}", key)

    async def _heatmap(self, found: re.Match[str]) -> None:
        if f"{found[1]}.json" not in self._readings:
            self._tell(Kind.ORPHAN_OBJECT, found[0], "No reading is beside this heat map.")
        await self._look.data(f"{self._folder}{found[0]}")

    async def _open_image(self, found: re.Match[str]) -> None:
        key = f"{self._folder}{found[0]}"
        entry = await self._look.document(NotProcessedDocument, key)
        if entry is None:
            return
        if entry.sha256 != found[1]:
            self._misplaced(found[0])
        for sha256 in entry.beside:
            self._refer(sha256, key)
        if entry.parked is not None:
            await self._look.refer(f"{PARKED}{entry.parked}.json", key)

    async def _standing(self, found: re.Match[str]) -> None:
        key = f"{self._folder}{found[0]}"
        note = await self._look.document(StandingFile, key)
        if note is not None:
            self._refer(note.sha256, key)

    async def _identity(self, found: re.Match[str]) -> None:
        key = f"{self._folder}{found[0]}"
        await self._look.document(LaterIdentity, key)
        before = f"identity/{int(found[1]) - 1}.json"
        if found[1] != "1" and before not in self._names:
            self._look.missing(f"{self._folder}{before}", key)

    async def _view(self) -> None:
        key = f"{self._folder}result.json"
        if "result.json" not in self._names:
            if self._readings:
                self._tell(Kind.STALE_VIEW, "result.json", _NO_VIEW)
            return
        view = await self._look.document(StudyResult, key)
        if view is None:
            return
        if view.study_id != self._study_id:
            self._misplaced("result.json")
            return
        shown = {
            f"images/{image.sha256}/{image.model.name}-{image.model.version}.json"
            for image in view.images
        }
        for name in sorted(shown - self._readings):
            self._look.missing(f"{self._folder}{name}", key)
        if self._readings - shown:
            self._tell(Kind.STALE_VIEW, "result.json", _OLD_VIEW)

    def _refer(self, sha256: str, referrer: str) -> None:
        if sha256 not in self._images:
            self._look.missing(f"{self._folder}images/{sha256}/", referrer)

    def _misplaced(self, name: str) -> None:
        self._tell(Kind.UNREADABLE_DOCUMENT, name, "It speaks of another object than its key does.")

    def _tell(self, kind: Kind, name: str, detail: str) -> None:
        self._look.tell(kind, f"{self._folder}{name}", detail)


_NO_VIEW = "It is not there, though readings are: send an image of the study again."
_OLD_VIEW = "It lacks a reading that is there: send an image of the study again."
