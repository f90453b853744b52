"""The use case behind every way in; the double of the pipeline is held to the contract."""

from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from gateway.admission.admission import Admission, Slot
from gateway.audit.trail import Audit
from gateway.errors import InvalidMetadataError, OverloadedError
from gateway.observability.metrics import Metrics
from gateway.runtime.deadline import Deadline
from gateway.studies.imaging import Imaging
from gateway.studies.intake import Intake
from gateway.studies.process import Received, StudyPipeline, StudyProcessor, StudySource, Turn
from gateway.studies.study import Route, Study
from gateway.triton.embedded import EmbeddedTriton
from preprocess import Limits
from tests.gateway.studies.piped import piped, study
from tests.support.audit import Trail
from tests.support.models import flat_png
from tests.support.pairing import CountingPipeline, Readings, no_turn, sidecar
from tests.support.store import MemoryStore
from tests.support.telemetry import Told

WHITE, BLACK = flat_png(255), flat_png(0)


@pytest.fixture(params=["pipeline", "double"])
async def pipeline(
    request: pytest.FixtureRequest, triton: EmbeddedTriton
) -> AsyncIterator[StudyPipeline]:
    objects = MemoryStore()
    if request.param == "double":
        yield CountingPipeline(objects, Readings(), no_turn)
        return
    async with piped(triton.grpc_url, objects) as parts:
        yield parts.pipeline


@pytest.mark.parametrize("awaited", [True, False])
async def test_an_image_is_processed_once_and_then_replayed(
    pipeline: StudyPipeline, *, awaited: bool
):
    first, deadline = study(WHITE, study_id="S1"), Deadline.after(30)
    answers = [
        await pipeline.process(each, deadline, awaited=awaited)
        for each in (first, first, study(BLACK, study_id="S1"), study(WHITE, study_id="S2"))
    ]
    assert [answer.replayed for answer in answers] == [False, True, False, False]
    assert [answer.result.study_id for answer in answers] == ["S1", "S1", "S1", "S2"]


class Parts:
    """The use case before a double of the pipeline, with room for two studies."""

    def __init__(self) -> None:
        metrics = Metrics(CollectorRegistry())
        self.asked = 0
        self.trail, self.readings = Trail(), Readings()
        self.admission = Admission(
            bytes_limit=1000, studies_limit=2, pictures_limit=1, metrics=metrics
        )
        imaging = Imaging(threads=1, limits=Limits(), metrics=metrics)
        self.studies = StudyProcessor(
            admission=self.admission,
            models=self,  # type: ignore[arg-type]  # asked whether they answer, and no more
            intake=Intake(imaging, Told(), metadata_bytes=1000),
            pipeline=CountingPipeline(MemoryStore(), self.readings, no_turn),
            audit=Audit(self.trail, metrics, instance="here"),
        )

    def ask(self) -> None:
        self.asked += 1


async def receive(slot: Slot) -> Received:
    slot.hold_bytes(len(WHITE))
    return Received(sidecar("S1"), [("image[0]", WHITE)])


def source(**changes: object) -> StudySource:
    fields = {
        "route": Route.REST,
        "caller": "pacs",
        "share": "key pacs",
        "turn": Turn.AT_ONCE,
        "receive": receive,
    }
    return StudySource(**fields | changes)  # type: ignore[arg-type]


async def test_models_are_asked_first_where_a_sender_waits():
    parts = Parts()
    for awaited in (True, False):
        await parts.studies.process(source(awaited=awaited), Deadline.after(30))
        assert parts.asked == 1
    assert parts.readings.inferences.total() == 1
    assert (parts.admission.studies.used, parts.admission.bytes.used) == (0, 0)


async def test_a_sender_without_room_is_refused_before_its_bytes_are_brought():
    parts = Parts()
    with parts.admission.slot("a") as first, parts.admission.slot("b") as second:
        first.take()
        second.take()
        with pytest.raises(OverloadedError):
            await parts.studies.process(source(receive=never), Deadline.after(30))


async def never(slot: Slot) -> Received:
    raise AssertionError(slot)


async def test_what_the_way_in_knows_is_held_to_the_study_before_it_is_processed():
    parts = Parts()

    async def refuse(study: Study) -> Study:
        assert study.metadata.study_id == "S1"
        raise InvalidMetadataError(())

    with pytest.raises(InvalidMetadataError):
        await parts.studies.process(source(check=refuse), Deadline.after(30))
    assert not parts.readings.inferences


async def test_work_that_is_part_of_no_request_is_on_record_with_its_study():
    parts = Parts()
    await parts.studies.process(
        source(turn=Turn.IN_LINE, operation="pending study: read"), Deadline.after(30)
    )
    [record] = parts.trail.records
    assert (record["operation"], record["studies"]) == ("pending study: read", ["S1"])
