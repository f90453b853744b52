"""Store transactions: each part has its outcome, and the memory of all of them is bounded."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from gateway.deferred.dicom_store import DicomStore, InstanceSender
from gateway.dicomweb.parts import RelatedParts
from gateway.dicomweb.store_transaction import StoreTransaction
from gateway.errors import MalformedRequestError
from gateway.studies.dicom_instance import FailureReason, InstanceUids
from gateway.studies.study import Route
from tests.support.deferred import DeferredGateway
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import related
from tests.support.gateway import until
from tests.support.store import MemoryStore

SENDER = InstanceSender(Route.STOW, "viewer", "viewer")
PART_LIMIT = 10_000
A_THIRD = len(file_of(radiograph())) * 3

Begin = Callable[..., StoreTransaction]


class SlowStore(MemoryStore):
    """Answers no call before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.written: set[str] = set()
        self.may_answer = asyncio.Event()

    async def _step(self, call: str, key: str) -> None:
        if call == "replace":
            self.written.add(key)
        await self.may_answer.wait()
        await super()._step(call, key)


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begins transactions, each on a gateway of its own."""
    made: list[DeferredGateway] = []

    def begin(
        body: bytes,
        objects: MemoryStore | None = None,
        expected: InstanceUids = InstanceUids(),  # noqa: B008 - it is frozen
        **changes: Any,
    ) -> StoreTransaction:
        gateway = DeferredGateway(objects or MemoryStore(), **changes)
        made.append(gateway)
        parts = (gateway.studies, gateway.submissions, gateway.imaging)

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 500):
                yield body[start : start + 500]

        return StoreTransaction(
            gateway.admission,
            DicomStore(*parts, timeout_s=20),
            RelatedParts(pieces(), b"a b", limit_bytes=PART_LIMIT),
            SENDER,
            expected,
        )

    yield begin
    for gateway in made:
        assert (gateway.admission.bytes.used, gateway.admission.studies.used) == (0, 0)
        gateway.imaging.close()


async def test_outcomes_come_in_the_order_of_the_parts(begin: Begin):
    images = [radiograph() for _ in range(6)]
    files = [file_of(image) for image in images]
    files[2] = b"no DICOM"
    outcomes = await begin(related(*files)).run()
    uids = [image.SOPInstanceUID for image in images]
    uids[2] = None
    assert [outcome.uids.sop_instance_uid for outcome in outcomes] == uids
    assert [outcome.failure is None for outcome in outcomes] == [
        *(True, True, False, True, True, True)
    ]


async def test_every_instance_must_have_the_uids_of_the_request(begin: Begin):
    images = [radiograph(StudyInstanceUID=study) for study in ("1.2.3", "1.2.4")]
    body = related(*map(file_of, images))
    outcomes = await begin(body, expected=InstanceUids(study_instance_uid="1.2.3")).run()
    assert [outcome.failure for outcome in outcomes] == [None, FailureReason.DATA_SET_MISMATCH]


async def test_part_that_is_too_long_is_known_by_its_beginning_and_costs_no_other(begin: Begin):
    long, other = radiograph(PixelData=bytes(PART_LIMIT)), radiograph()
    outcomes = await begin(related(file_of(long), file_of(other))).run()
    assert [outcome.failure for outcome in outcomes] == [FailureReason.OUT_OF_RESOURCES, None]
    assert outcomes[0].uids.sop_instance_uid == long.SOPInstanceUID


async def test_few_instances_of_a_request_are_stored_at_once(begin: Begin):
    objects = SlowStore()
    body = related(*(file_of(radiograph()) for _ in range(7)))
    task = asyncio.create_task(begin(body, objects).run())
    await until(lambda: len(objects.written) >= 4)
    for _ in range(50):  # all that could go on meanwhile
        await asyncio.sleep(0)
    assert len(objects.written) == 4
    objects.may_answer.set()
    assert [outcome.failure for outcome in await task] == [None] * 7


async def test_request_that_is_larger_than_the_room_is_stored_as_room_comes(begin: Begin):
    body = related(*(file_of(radiograph()) for _ in range(12)))
    outcomes = await begin(body, bytes_limit=A_THIRD).run()
    assert [outcome.failure for outcome in outcomes] == [None] * 12


async def test_instance_that_never_has_room_is_refused_alone(begin: Begin):
    long = radiograph(PixelData=bytes(PART_LIMIT - 3000))
    files = [file_of(radiograph()), file_of(long), file_of(radiograph())]
    outcomes = await begin(related(*files), bytes_limit=A_THIRD).run()
    assert [outcome.failure for outcome in outcomes] == [
        *(None, FailureReason.OUT_OF_RESOURCES, None)
    ]


async def test_body_that_breaks_off_has_an_outcome_for_its_rest(begin: Begin):
    files = [file_of(radiograph()) for _ in range(2)]
    outcomes = await begin(related(*files)[:-100]).run()
    assert [outcome.failure for outcome in outcomes] == [None, FailureReason.CANNOT_UNDERSTAND]


async def test_body_without_parts_is_malformed(begin: Begin):
    with pytest.raises(MalformedRequestError):
        await begin(b"no part at all").run()
