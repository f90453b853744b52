"""Lines to destinations: none delays another, and they follow the routing document."""

import asyncio

import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from gateway.errors import DeliveryUnansweredError
from tests.support.delivery import Gateway, Peer, dicom, routing
from tests.support.delivery_archives import archive, mute
from tests.support.gateway import until
from tests.support.store import MemoryStore

# pynetdicom leaves a socket that did not connect to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)
STUDIES = [f"S{number}" for number in range(12)]


async def test_a_bad_destination_never_delays_another():
    """Of four archives one says nothing, one is full, one refuses the class, and one is fine."""
    with (
        mute(backlog=64) as silent,
        archive() as full,
        archive(classes=[SecondaryCaptureImageStorage]) as other,
        archive(finds=True) as fine,
    ):
        full.statuses = [0xA700] * 10_000
        document = routing(
            dicom("silent", silent),
            dicom("full", full.port),
            dicom("other", other.port),
            dicom("fine", fine.port),
        )
        gateway = Gateway(MemoryStore(), document)
        async with gateway.running():
            for study_id in STUDIES:
                await gateway.outbox.promise(await gateway.complete(study_id))

            async def are_delivered() -> bool:
                states = [await gateway.states(study_id) for study_id in STUDIES]
                return {(each["fine"], each["other"]) for each in states} == {
                    ("confirmed", "parked")
                }

            await until(are_delivered)
            await until(lambda: gateway.attempts("full", "unanswered") > 0)
            states = [await gateway.states(study_id) for study_id in STUDIES]
            assert {state["silent"] for state in states} <= {"waiting", "sent"}
            assert {state["full"] for state in states} <= {"waiting", "sent"}
    assert len(fine.held) == len(STUDIES)
    assert set(fine.held.values()) == {1}
    # The circuit: each of the twelve would have been tried at once, and again within a second.
    assert len(full.arrived) < len(STUDIES)


async def test_a_destination_that_comes_back_gets_all():
    peer = Peer(errors=[DeliveryUnansweredError("nobody")] * 2)
    gateway = Gateway(MemoryStore(), routing(dicom("pacs", 1)), {"pacs": peer})
    async with gateway.running():
        for study_id in STUDIES:
            await gateway.outbox.promise(await gateway.complete(study_id))
        opened = gateway.metrics.delivery.circuit_open.labels("pacs")._value
        await until(lambda: opened.get() == 1)
        await until(lambda: len(peer.sent) == len(STUDIES))
        await until(lambda: opened.get() == 0)
    assert len(set(peer.sent)) == len(STUDIES)


async def test_a_destination_is_followed_without_a_restart():
    peers = {"pacs": Peer(), "vna": Peer()}
    gateway = Gateway(MemoryStore(), routing(dicom("pacs", 1)), peers)
    async with gateway.running():
        await gateway.outbox.promise(await gateway.complete("S1"))
        await until(lambda: len(peers["pacs"].sent) == 1)
        gateway.routing.replace(routing(dicom("vna", 2)))
        await gateway.outbox.promise(await gateway.complete("S2"))
        await until(lambda: len(peers["vna"].sent) == 1)
    assert len(peers["pacs"].sent) == 1


async def test_entries_of_another_gateway_are_found():
    objects, peer = MemoryStore(), Peer()
    document = routing(dicom("pacs", 1))
    other = Gateway(objects, document)
    gateway = Gateway(objects, document, {"pacs": peer})
    async with gateway.running():
        await other.outbox.promise(await other.complete())
        await until(lambda: len(peer.sent) == 1)


async def test_what_waits_is_counted_with_its_age():
    peer = Peer(gate=asyncio.Event())
    gateway = Gateway(MemoryStore(), routing(dicom("pacs", 1)), {"pacs": peer})
    waiting = gateway.metrics.delivery.items.labels("pacs", "waiting")._value
    async with gateway.running():
        await gateway.outbox.promise(await gateway.complete())
        await until(lambda: waiting.get() == 1)
        await until(lambda: gateway.metrics.delivery.oldest_age.labels("pacs")._value.get() > 0)
        assert peer.gate is not None
        peer.gate.set()
        await until(lambda: waiting.get() == 0)


async def test_two_gateways_send_each_result_once():
    objects, peer = MemoryStore(), Peer()
    document = routing(dicom("pacs", 1))
    one, two = (Gateway(objects, document, {"pacs": peer}) for _ in range(2))
    async with one.running(), two.running():
        for study_id in STUDIES:
            await one.outbox.promise(await one.complete(study_id))

        async def are_over() -> bool:
            states = [await one.states(study_id) for study_id in STUDIES]
            return {each["pacs"] for each in states} == {"acknowledged"}

        await until(are_over)
    assert len(peer.sent) == len(set(peer.sent)) == len(STUDIES)
