"""Stored DICOM instances in memory, and what a gateway before them reads them with."""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission
from gateway.dicomweb.instances import Instances
from gateway.observability.metrics import Metrics
from gateway.pictures.pictures import Pictures
from gateway.renderings.reports import Reports
from gateway.results.documents import Completion
from gateway.results.keys import image_key
from gateway.results.tombstones import Tombstones
from gateway.retrieval.originals import Original, Originals
from gateway.studies.imaging import Imaging
from preprocess import Limits
from tests.support.readings import NOON, frame
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore

STUDY, SERIES = "1.2.3", "1.2.3.1"
ROOM = 100_000


class Archive:
    """A store of instances and a gateway before it."""

    def __init__(self, *, room: int = ROOM) -> None:
        metrics = Metrics(CollectorRegistry())
        self.objects = MemoryStore()
        self.gateway = IndexingGateway(self.objects)
        results = self.gateway.results
        self.originals = Originals(self.objects, results, self.gateway.index.search)
        self.imaging = Imaging(threads=2, limits=Limits(), metrics=metrics)
        pictures = Pictures(results, self.imaging, at_once=1)
        reports = Reports(results, self.imaging, pictures, Tombstones(self.objects))
        self.instances = Instances(self.originals, reports)
        self.admission = Admission(
            bytes_limit=room, studies_limit=2, pictures_limit=2, metrics=metrics
        )

    async def add(
        self,
        data: bytes,
        instance: str,
        *,
        study: str = STUDY,
        series: str = SERIES,
        study_id: str | None = None,
        of_frame: Mapping[str, Any] = MappingProxyType({}),
        **metadata: Any,
    ) -> Original:
        """Store a file as an instance, whatever it holds, of a study that is not complete."""
        reading = {
            "media_type": "application/dicom",
            "object": f"image-{instance}.dcm",
            "study_instance_uid": study,
            "series_instance_uid": series,
            "sop_instance_uid": instance,
            "frames": (frame(rows=6, columns=8, **of_frame),),
        }
        await self.gateway.receive(study_id or study, reading=reading, **metadata)
        await self._completed(study_id or study, None)
        [original] = await self.instances.find(study, series, instance)
        assert isinstance(original, Original)
        self.objects.objects[image_key(original.reading)] = data
        return original

    async def complete(self, study_id: str = STUDY) -> None:
        """Have a study complete, as a sweep does."""
        await self._completed(study_id, NOON)

    async def _completed(self, study_id: str, at: dt.datetime | None) -> None:
        completion = Completion(work="w", last_instance_at=NOON, completed_at=at)
        await self.gateway.documents.change_known(
            study_id, lambda record: record.changed(completion=completion)
        )
        await self.gateway.write()
