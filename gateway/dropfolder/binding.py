"""Studies of images: by the folder, by the sidecar, or by the study that was processed before.

A file outside of any study's folder is bound to the first study that it was processed for:
``pairing/bindings/{object}.json``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.dropfolder.documents import Binding
from gateway.errors import (
    Fault,
    InvalidMetadataError,
    StudyConflictError,
    StudyDeletedError,
    UnreadableDocumentError,
)
from gateway.observability.pseudonyms import study_digest
from gateway.runtime.concurrency import both
from gateway.schemas.metadata import is_study_id, parse_document
from gateway.storage.documents import create_document, read_or_none
from gateway.storage.layout import BINDINGS

if TYPE_CHECKING:
    from gateway.dropfolder.objects import Dropped
    from gateway.results.deletion import Deletion
    from gateway.results.store import ResultStore
    from gateway.results.study_documents import Seen
    from gateway.storage.protocol import ObjectStore
    from gateway.studies.study import Study

_NO_STUDY_ID = (
    "is to be the name of the folder, which is none: rename it to 1 to 64 letters A to Z, digits, "
    "'.', '_' and '-', without accents and not beginning with a dot"
)


@dataclass(frozen=True, slots=True)
class StudyState:
    """State of a study in the store, as it matters to an image of the drop folder.

    Parameters
    ----------
    study_id
        The study.
    bound
        Binding of the image, if it has one.
    was_deleted
        True if the study was deleted before.
    seen
        Its document; None where this process remembers it.
    """

    study_id: str
    bound: Binding | None
    was_deleted: bool
    seen: Seen | None


class Bindings:
    """The bindings of images to the studies that they may be of.

    Parameters
    ----------
    objects
        Store of the bindings.
    results
        Studies as they are stored.
    deletion
        Deleted studies: their files may still lie in the drop folder.
    """

    def __init__(self, objects: ObjectStore, results: ResultStore, deletion: Deletion) -> None:
        self._objects = objects
        self._results = results
        self._deletion = deletion

    async def look(self, image: Dropped, study_id: str | None) -> StudyState | None:
        """Return the state of the study that an image is said to be of, where it can be read.

        The tombstones are listed though the study has a document: it may have been made anew over
        HTTP, and files of the study that was deleted are not for this one.
        """
        if not is_study_id(study_id):
            return None
        with suppress(UnreadableDocumentError):  # told when the study is checked
            return await self._state(image, study_id)
        return None

    async def _state(self, image: Dropped, study_id: str) -> StudyState:
        (was_deleted, bound), seen = await both(
            both(self._deletion.was_deleted(study_id), self._bound(image)),
            self._results.look(study_id),
        )
        return StudyState(study_id, bound, was_deleted, seen)

    async def check(self, image: Dropped, state: StudyState | None, study: Study) -> Study:
        """Return the study that was made of an image, with the name that the image was dropped as.

        Parameters
        ----------
        state
            State of the study that the image was said to be of before it was read.

        Raises
        ------
        InvalidMetadataError
            It is another study than the image's folder says.
        StudyConflictError
            The image was processed for another study.
        StudyDeletedError
        """
        study_id = study.metadata.study_id
        check_named(image, study_id)
        if state is None or state.study_id != study_id:
            state = await self._state(image, study_id)
        if state.bound is not None and state.bound.study != study_digest(study_id):
            raise StudyConflictError(
                (Fault("/study_id", "differs from the study this image was read for before"),)
            )
        if state.was_deleted:
            raise StudyDeletedError
        return replace(study, dropped_as=image.reference, seen=state.seen)

    async def _bound(self, image: Dropped) -> Binding | None:
        """Return the binding of an image whose folder cannot tell its study."""
        if image.study_folder is not None:
            return None
        return await read_or_none(self._objects, Binding, _key(image))

    async def bind(self, image: Dropped, study_id: str) -> None:
        """Keep the study that an image was processed for, where its folder does not say it."""
        if image.study_folder is None:
            await create_document(self._objects, _key(image), Binding(study=study_digest(study_id)))


def check_folder(half: Dropped) -> None:
    """Hold the folder that a half lies in to being the name of a study.

    Raises
    ------
    InvalidMetadataError
    """
    if half.study_folder is not None and not is_study_id(half.study_folder):
        raise InvalidMetadataError((Fault("/study_id", _NO_STUDY_ID),))


def check_named(half: Dropped, study_id: str) -> None:
    """Hold the study that a half is said to be of to the folder that it lies in.

    Raises
    ------
    InvalidMetadataError
    """
    if half.study_folder not in {None, study_id}:
        raise InvalidMetadataError(
            (Fault("/study_id", "differs from the folder that the image lies in"),)
        )


def named_study(image: Dropped, document: bytes | None) -> str | None:
    """Return the study that an image is said to be of: by its folder, or by its sidecar."""
    if image.study_folder is not None or document is None:
        return image.study_folder
    with suppress(InvalidMetadataError):
        study_id = parse_document(document).get("study_id")
        if isinstance(study_id, str) and is_study_id(study_id):
            return study_id
    return None


def completed(image: Dropped, document: bytes | None) -> bytes | None:
    """Return the document; of a DICOM file in a study's folder with the folder as its study_id.

    So it is the same study with its sidecar and without.
    """
    if image.study_folder is None or not image.may_stand_alone:
        return document
    try:
        fields = parse_document(document) if document is not None else {}
    except InvalidMetadataError:  # told where the study is made
        return document
    return json.dumps({"study_id": image.study_folder} | fields).encode()


def _key(image: Dropped) -> str:
    return f"{BINDINGS}{image.reference}.json"
