"""Each sending of results is on record: where to, what, and about which patient."""

import json

import pytest

from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from tests.support.delivery import Gateway, Peer, dicom, routing
from tests.support.gateway import until
from tests.support.store import MemoryStore

ONE = routing(dicom("pacs", 1))


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.mark.parametrize(
    ("errors", "outcome"),
    [
        ([], "success"),
        ([DeliveryRefusedError("no")], "refused"),
        ([DeliveryUnansweredError("silence", is_sent=True)], "failed"),
    ],
)
async def test_each_sending_is_on_record(
    objects: MemoryStore, errors: list[Exception], outcome: str
):
    gateway = Gateway(objects, ONE, {"pacs": Peer(errors=errors)})
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(lambda: bool(gateway.sink.lines))
    record = json.loads(gateway.sink.lines[0])
    assert (record["operation"], record["outcome"]) == ("delivery: send", outcome)
    assert record["studies"] == ["S1"]
    disclosed = record["disclosed"]
    assert (disclosed["destination"], disclosed["rendering"]) == ("pacs", "structured-report")
    assert len(disclosed["objects"]) == 1
    assert len(disclosed["patient_ref"]) == 32
    assert "P-7" not in gateway.sink.lines[0].decode()


async def test_what_found_nobody_is_on_no_record(objects: MemoryStore):
    gateway = Gateway(objects, ONE, {"pacs": Peer(errors=[DeliveryUnansweredError("nobody")])})
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(lambda: gateway.attempts("pacs", "unanswered") == 1)
    assert gateway.sink.lines == []
