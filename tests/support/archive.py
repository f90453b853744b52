"""Stored DICOM instances in memory, and what a gateway before them reads them with."""

from typing import Any

from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission
from gateway.observability.metrics import Metrics
from gateway.results.keys import image_key
from gateway.retrieval.originals import Original, Originals
from gateway.studies.imaging import Imaging
from preprocess import Limits
from tests.support.readings import frame
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
        self.originals = Originals(self.objects, self.gateway.results, self.gateway.index.search)
        self.imaging = Imaging(threads=2, limits=Limits(), metrics=metrics)
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
        **metadata: Any,
    ) -> Original:
        """Store a file as an instance, whatever it holds."""
        reading = {
            "media_type": "application/dicom",
            "object": f"image-{instance}.dcm",
            "study_instance_uid": study,
            "series_instance_uid": series,
            "sop_instance_uid": instance,
            "frames": (frame(rows=6, columns=8),),
        }
        await self.gateway.receive(study_id or study, reading=reading, **metadata)
        await self.gateway.write()
        [original] = await self.originals.find(study, series, instance)
        self.objects.objects[image_key(original.reading)] = data
        return original
