"""Studies and their index on a store, for one gateway or several."""

import datetime as dt
import hashlib
import secrets
from typing import Any

from gateway.results.documents import FrameReading, Reading
from gateway.results.joins import Request
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.result import Finding, ModelVersion
from gateway.search.changed_studies import ChangedStudies
from gateway.search.query import SearchPage, StudyQuery
from gateway.search.study_index import StudyIndex
from gateway.storage.protocol import ObjectStore


class IndexingGateway:
    """One gateway's studies, whose entries are written when the test says so."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects
        changed = ChangedStudies()
        self.documents = StudyDocuments(objects, changed=changed.note)
        self.results = ResultStore(objects, self.documents)
        self.index = StudyIndex(objects, self.documents, changed)

    async def receive(
        self,
        study_id: str,
        received_at: dt.datetime | None = None,
        *,
        positive: bool = False,
        reading: dict[str, Any] | None = None,
        **metadata: Any,
    ) -> None:
        """Store an image of a study; its entry is yet to be written."""
        at = received_at or dt.datetime.now(dt.UTC)
        document = {"study_id": study_id, "timestamp": at.isoformat(), **metadata}
        of_study = StudyMetadata.model_validate(document)
        finding = Finding(label="bright", probability=0.5, threshold=0.5, positive=positive)
        fields: dict[str, Any] = {
            "sha256": hashlib.sha256(secrets.token_bytes(8)).hexdigest(),
            "media_type": "image/png",
            "object": "image-00000000.png",
            "sender": "ris",
            "route": "rest",
            "frames": (FrameReading(rows=1, columns=1, bits_stored=8, findings=(finding,)),),
        }
        image = Reading(
            study_id=study_id,
            model=ModelVersion(name="brightness", version="1"),
            received_at=at,
            completed_at=at,
            timings_ms={},
            warnings=(),
            metadata=of_study.model_dump(mode="json", exclude_unset=True),
            **fields | (reading or {}),
        )
        request = Request(of_study, at, (image,), {"image": image})
        await self.results.add(study_id, await self.results.known(of_study), request)

    async def write(self) -> None:
        """Write the entries of what has changed."""
        await self.index.writer.write()

    async def found(self, limit: int = 100, **query: Any) -> list[str]:
        """Return the ids of the studies on the first page of a query."""
        return [entry.study_id for entry in (await self.page(limit, **query)).entries]

    async def page(self, limit: int = 100, **query: Any) -> SearchPage:
        """Return the first page of a query."""
        return await self.index.search.find(StudyQuery(**query), limit=limit)
