"""Identity of a study: its first document, and what later ones were the first to state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.errors import Fault, StudyConflictError
from gateway.results.documents import LaterIdentity, StudyDocument
from gateway.results.keys import reading_name, readings_among, study_folder
from gateway.results.not_processed import entries_among
from gateway.schemas.stored_document import IDENTITY
from gateway.storage.documents import create_document, read_or_none

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from gateway.schemas.metadata import StudyMetadata
    from gateway.schemas.result import ModelVersion
    from gateway.storage.protocol import ObjectStore


@dataclass(frozen=True, slots=True)
class Known:
    """State of a study in the store when it was looked up.

    Parameters
    ----------
    study
        Its first document, if one came before.
    identity
        Who it is about, as far as that is known.
    claims
        How many later documents told something of that.
    readings
        Keys of what was read of it.
    open_images
        Keys of the images that are to be sent again.
    """

    study: StudyDocument | None = None
    identity: dict[str, str] = field(default_factory=dict)
    claims: int = 0
    readings: frozenset[str] = frozenset()
    open_images: frozenset[str] = frozenset()

    def read_by(self, model: ModelVersion) -> set[str]:
        """Return the SHA-256 of each image that this model version has read."""
        end = f"/{reading_name(model)}"
        return {key.split("/")[-2] for key in self.readings if key.endswith(end)}


class Identities:
    """Identities of all studies on one store."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def study(self, study_id: str) -> StudyDocument | None:
        """Return the study's first document; None where none came."""
        return await read_or_none(self._objects, StudyDocument, _study_key(study_id))

    async def known(self, study_id: str) -> Known:
        """Return what the store holds of the study."""
        study = await self.study(study_id)
        if study is None:  # it is written first, so there is nothing else either
            return Known()
        keys = await self._objects.keys(study_folder(study_id))
        identity = _told(study.identity)
        claims = sum(key.startswith(_identity_folder(study_id)) for key in keys)
        for number in range(1, claims + 1):
            key = _identity_key(study_id, number)
            later = await read_or_none(self._objects, LaterIdentity, key)
            if later is None:  # deleted just now
                return Known()
            identity |= _told(later.root)
        return Known(
            study,
            identity,
            claims,
            readings=frozenset(readings_among(study_id, keys)),
            open_images=frozenset(entries_among(study_id, keys)),
        )

    async def claim(
        self, metadata: StudyMetadata, received_at: dt.datetime, known: Known
    ) -> tuple[StudyDocument, bool]:
        """Return the study's first document, and True if it is this one: none came before.

        Raises
        ------
        StudyConflictError
            Another document came first and contradicts this one.
        """
        study_id = metadata.study_id
        while True:
            if known.study is None:
                document = StudyDocument(
                    study_id=study_id,
                    received_at=received_at,
                    identity={name: getattr(metadata, name) for name in IDENTITY},
                )
                if await create_document(self._objects, _study_key(study_id), document):
                    return document, True
            else:
                compare(metadata, known.identity)
                news = {
                    name: value
                    for name, value in given(metadata).items()
                    if name not in known.identity
                }
                # One object for all that is new, under a number that one document alone can take:
                # of two that come at once, the later one is compared to the whole of the earlier.
                key = _identity_key(study_id, known.claims + 1)
                if not news or await create_document(self._objects, key, LaterIdentity(news)):
                    return known.study, False
            known = await self.known(study_id)


def _study_key(study_id: str) -> str:
    return f"{study_folder(study_id)}study.json"


def _identity_folder(study_id: str) -> str:
    return f"{study_folder(study_id)}identity/"


def _identity_key(study_id: str, number: int) -> str:
    return f"{_identity_folder(study_id)}{number}.json"


def given(metadata: StudyMetadata) -> dict[str, str]:
    """Return the identifying attributes that the metadata have."""
    return _told({name: getattr(metadata, name) for name in IDENTITY})


def _told(identity: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in identity.items() if value is not None}


def compare(metadata: StudyMetadata, known: Mapping[str, str | None]) -> None:
    """Hold the metadata to what is known of their study.

    Raises
    ------
    StudyConflictError
        With each attribute that contradicts.
    """
    faults = tuple(
        Fault(f"/{name}", "differs from what is stored under this study_id")
        for name, value in given(metadata).items()
        if known.get(name) not in (None, value)
    )
    if faults:
        raise StudyConflictError(faults)
