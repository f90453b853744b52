"""Renderings as destinations get them."""

import pytest
from prometheus_client import CollectorRegistry

from gateway.delivery.conformance import check
from gateway.delivery.renderers import Renderer, Renderers, renderers
from gateway.delivery.transport import Rendering
from gateway.observability.metrics import Metrics
from gateway.pictures.pictures import Pictures
from gateway.renderings.reports import Reports
from gateway.results.links import Links
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstones import Tombstones
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_destinations import Destination
from gateway.studies.imaging import Imaging
from preprocess import Limits, MediaType
from tests.gateway.renderings.test_reports import add
from tests.support.delivery import dicom, routing
from tests.support.dicom import file_of, radiograph
from tests.support.models import flat_png
from tests.support.store import MemoryStore

KINDS = RenderingKind
[PACS, RECORD, RIS, ORDERS] = routing(
    dicom("pacs", 1),
    {"name": "record", "kind": "fhir", "url": "https://fhir.example.org/r4", "release": "R5"},
    {"name": "ris", "kind": "hl7", "host": "ris.example.org", "port": 2575},
    {"name": "orders", "kind": "webhook", "url": "https://a.example.org/", "secret_file": "/s"},
).destinations


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def results(objects: MemoryStore) -> ResultStore:
    return ResultStore(objects, StudyDocuments(objects))


def made_of(results: ResultStore) -> Renderers:
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    pictures = Pictures(results, imaging, at_once=1)
    return renderers(Reports(results, imaging, pictures, Tombstones(MemoryStore())), Links())


async def made_by(renderer: Renderer, destination: Destination) -> list[Rendering]:
    return [rendering async for rendering in renderer("S1", destination)]


@pytest.mark.parametrize(
    ("kind", "destination"),
    [
        (KINDS.STRUCTURED_REPORT, PACS),
        (KINDS.SECONDARY_CAPTURE, PACS),
        (KINDS.FHIR, RECORD),
        (KINDS.ORU, RIS),
        (KINDS.NOTICE, ORDERS),
    ],
)
async def test_a_rendering_is_the_same_object_whenever_it_is_made(
    results: ResultStore, kind: RenderingKind, destination: Destination
):
    await add(results, file_of(radiograph()))
    make = made_of(results)[kind]
    [first], [second] = [await made_by(make, destination) for _ in range(2)]
    assert first == second
    assert first.uid.encode() in first.data
    assert first.kind is kind


async def test_a_capture_passes_the_check_before_it_is_sent(results: ResultStore):
    await add(results, file_of(radiograph()))
    [made] = await made_by(made_of(results)[KINDS.SECONDARY_CAPTURE], PACS)
    check(made)


async def test_a_study_without_dicom_has_no_dicom_objects(results: ResultStore):
    await add(results, flat_png(100), media_type=MediaType.PNG)
    made = made_of(results)
    assert await made_by(made[KINDS.STRUCTURED_REPORT], PACS) == []
    assert await made_by(made[KINDS.SECONDARY_CAPTURE], PACS) == []
    assert len(await made_by(made[KINDS.ORU], RIS)) == 1
