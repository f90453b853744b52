"""Results on their way: each answer of a destination, and what the study's document says then."""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from functools import partial

import pytest

from gateway.delivery.renderers import Renderer, dicom_rendering
from gateway.delivery.transport import Rendering
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.results.deliveries import with_delivery
from gateway.results.documents import DeliveryItem
from gateway.results.tombstone import Closing, Reason
from gateway.runtime.deadline import Deadline
from gateway.schemas.report_class import ReportClass
from gateway.schemas.routing_destinations import Destination
from gateway.storage.layout import DELIVERIES
from tests.support.delivery import NOW, SR, Gateway, Peer, dicom, report, routing
from tests.support.gateway import until
from tests.support.store import MemoryStore

ONE = routing(dicom("pacs", 1))
DECLINED = DeliveryUnansweredError("it takes no requests for it", is_unasked=True, is_declined=True)


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


async def delivered(gateway: Gateway) -> DeliveryItem:
    """Complete a study, and return its item once that is on its way no more."""
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(lambda: is_over(gateway))
    [item] = await gateway.items()
    return item


async def is_over(gateway: Gateway) -> bool:
    on_the_way = {"waiting", "sent"} & set((await gateway.states()).values())
    return not on_the_way and not await gateway.objects.keys(DELIVERIES)


@pytest.mark.parametrize(("held", "state"), [(True, "confirmed"), (None, "acknowledged")])
async def test_what_is_acknowledged_is_confirmed_where_the_peer_can_be_asked(
    objects: MemoryStore, held: bool | None, state: str
):
    peer = Peer(held=[held])
    gateway = Gateway(objects, ONE, {"pacs": peer})
    item = await delivered(gateway)
    assert (item.state, item.attempts, item.problem) == (state, 1, None)
    assert item.objects == tuple(peer.sent)
    assert gateway.attempts("pacs", state) == 1


async def test_what_was_sent_is_noted_with_the_corrections_before_it(objects: MemoryStore):
    wrong = {"patient_id": "P-6"}
    gateway = Gateway(objects, ONE, {"pacs": Peer()})
    await gateway.outbox.promise(await gateway.complete(former=(wrong,)))
    async with gateway.running():
        await until(lambda: is_over(gateway))
        await gateway.outbox.promise(await gateway.complete(former=(wrong, wrong)))
        await until(lambda: is_over(gateway))
    assert [item.corrections for item in await gateway.items()] == [(1,), (2,)]


async def test_a_peer_that_cannot_answer_a_question_has_acknowledged_all_the_same(
    objects: MemoryStore,
):
    peer = Peer(held=[DeliveryUnansweredError("silence")])
    item = await delivered(Gateway(objects, ONE, {"pacs": peer}))
    assert (item.state, item.warning, item.problem) == ("acknowledged", "silence", None)
    assert (item.attempts, len(peer.sent)) == (1, 1)


async def test_a_peer_that_could_not_be_asked_is_asked_again_and_sent_nothing(objects: MemoryStore):
    peer, made = Peer(held=[DECLINED, True, DECLINED, True]), list[str]()
    gateway = Gateway(objects, ONE, {"pacs": peer}, renderers={SR: several("S1", ["2", "3"], made)})
    item = await delivered(gateway)
    assert (item.state, item.attempts, item.unasked) == ("confirmed", 3, ())
    assert (item.warning, item.problem) == (None, None)
    assert peer.sent == list(item.objects) == made[:2]


async def test_what_is_acknowledged_is_not_sent_again_with_what_could_not_be_asked_for(
    objects: MemoryStore,
):
    silence = DeliveryUnansweredError("no report came")
    peer, made = Peer(held=[silence, DECLINED, DECLINED, silence]), list[str]()
    gateway = Gateway(objects, ONE, {"pacs": peer}, renderers={SR: several("S1", ["2", "3"], made)})
    item = await delivered(gateway)
    assert (item.state, item.attempts, item.warning) == ("acknowledged", 3, "no report came")
    assert (peer.asked, peer.sent) == (4, made[:2])
    assert (item.acknowledged, item.unasked, item.confirmed) == ((), (), ())


async def test_what_an_attempt_does_not_come_to_stays_unasked(objects: MemoryStore):
    peer, made = Peer(held=[DECLINED, DECLINED, False, False, True, DECLINED, True]), list[str]()
    gateway = Gateway(objects, ONE, {"pacs": peer}, renderers={SR: several("S1", ["2", "3"], made)})
    item = await delivered(gateway)
    assert (item.state, item.attempts) == ("confirmed", 4)
    assert (peer.asked, peer.sent) == (7, [made[0], made[1], made[0]])


async def test_a_peer_that_is_away_when_it_is_asked_is_left_alone_and_parks_nothing(
    objects: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.delivery.deliver._MOST_UNPROVEN", 1)
    away = DeliveryUnansweredError("no association came about", is_unasked=True)
    peer = Peer(held=[away, away, True])
    gateway = Gateway(objects, ONE, {"pacs": peer})
    circuit = gateway.metrics.delivery.circuit_open.labels("pacs")
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(lambda: peer.asked == 1)
        await until(lambda: circuit._value.get() == 1)
        await until(lambda: is_over(gateway))
    [item] = await gateway.items()
    assert (item.state, item.attempts, len(peer.sent)) == ("confirmed", 3, 1)
    assert circuit._value.get() == 0


async def test_a_peer_that_can_never_be_asked_parks_what_it_took(
    objects: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.delivery.deliver._MOST_UNPROVEN", 2)
    peer = Peer(held=[DECLINED] * 9)
    gateway = Gateway(objects, ONE, {"pacs": peer})
    item = await delivered(gateway)
    assert (item.state, item.attempts, len(peer.sent)) == ("parked", 2, 1)
    assert item.problem is not None
    assert "could not be asked for it: it takes no requests for it" in item.problem.detail
    [parked] = await gateway.parking.items(after="", limit=10)
    peer.held = [True]
    async with gateway.running():
        await gateway.lines.retry(parked)
        await until(lambda: is_over(gateway))
    [item] = await gateway.items()
    assert (item.state, len(peer.sent)) == ("confirmed", 2)


async def test_what_was_taken_stays_known_when_a_later_state_replaces_it(objects: MemoryStore):
    peer = Peer(held=[DECLINED, True])
    gateway = Gateway(objects, ONE, {"pacs": peer})
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(lambda: bool(peer.sent))
        await gateway.outbox.promise(await gateway.complete())
        await until(lambda: is_over(gateway))
    first, second = await gateway.items()
    assert (first.state, second.state) == ("acknowledged", "confirmed")
    assert [*first.objects, *second.objects] == peer.sent
    assert "it takes no requests for it" in (first.warning or "")


async def test_what_is_acknowledged_and_not_held_is_sent_again(objects: MemoryStore):
    peer = Peer(held=[False, False, True])
    gateway = Gateway(objects, ONE, {"pacs": peer})
    item = await delivered(gateway)
    assert (item.state, item.attempts, len(peer.sent)) == ("confirmed", 2, 2)
    assert gateway.attempts("pacs", "not_held") == 1


async def test_what_is_acknowledged_and_never_held_is_parked_with_a_sentence(objects: MemoryStore):
    gateway = Gateway(objects, ONE, {"pacs": Peer(held=[False])})
    await gateway.outbox.promise(await gateway.complete())
    [item] = await gateway.items()
    nine = partial(with_delivery, item_id=item.id, unproven=9)
    await gateway.documents.change_known("S1", nine)
    async with gateway.running():
        await until(lambda: is_over(gateway))
    [item] = await gateway.items()
    assert item.state == "parked"
    assert item.problem is not None
    assert item.problem.detail == (
        "The destination did not confirm the result, which was parked: it acknowledged the result "
        "and does not hold it. Mend the cause, then retry the result."
    )


async def test_what_came_to_no_answer_is_looked_for_before_it_is_sent_again(objects: MemoryStore):
    peer = Peer(errors=[DeliveryUnansweredError("silence", is_sent=True)], held=[True])
    gateway = Gateway(objects, ONE, {"pacs": peer})
    item = await delivered(gateway)
    assert (item.state, peer.sent) == ("confirmed", [])


async def test_a_failure_that_passes_is_told_and_tried_again(objects: MemoryStore):
    peer = Peer(errors=[DeliveryUnansweredError("no association came about")])
    gateway = Gateway(objects, ONE, {"pacs": peer})
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(lambda: gateway.attempts("pacs", "unanswered") == 1)

        async def is_told() -> bool:
            return (await gateway.items())[0].problem is not None

        await until(is_told)
        [item] = await gateway.items()
        assert item.problem is not None
        assert (item.state, item.attempts) == ("waiting", 1)
        assert "no association came about" in item.problem.detail
        await until(lambda: is_over(gateway))
    [item] = await gateway.items()
    assert (item.state, item.attempts, item.problem) == ("acknowledged", 2, None)


async def test_a_refusal_is_parked_with_its_words_and_can_be_retried(objects: MemoryStore):
    peer = Peer(errors=[DeliveryRefusedError("it answered the C-STORE with status 0122")])
    gateway = Gateway(objects, ONE, {"pacs": peer})
    item = await delivered(gateway)
    assert item.problem is not None
    assert (item.state, item.attempts) == ("parked", 1)
    assert "0122" in item.problem.detail
    [parked] = await gateway.parking.items(after="", limit=10)
    assert gateway.lines.owns(parked)
    assert gateway.lines.study_of(parked) == "S1"
    gateway.lines.count_parked([parked.key])
    assert gateway.metrics.delivery.items.labels("pacs", "parked")._value.get() == 1
    async with gateway.running():
        await gateway.lines.retry(parked)
        await until(lambda: is_over(gateway))
    assert await gateway.states() == {"pacs": "acknowledged"}
    assert await gateway.parking.items(after="", limit=10) == []


async def test_a_parked_item_can_be_discarded(objects: MemoryStore):
    peer = Peer(errors=[DeliveryRefusedError("no")])
    gateway = Gateway(objects, ONE, {"pacs": peer})
    await delivered(gateway)
    [parked] = await gateway.parking.items(after="", limit=10)
    await gateway.lines.discard(parked)
    assert await gateway.items() == []
    assert await objects.keys("results/S1/deliveries/") == []


async def test_what_is_tried_for_too_long_is_parked(objects: MemoryStore):
    peer = Peer(errors=[DeliveryUnansweredError("silence")] * 5)
    gateway = Gateway(objects, ONE, {"pacs": peer}, give_up_s=0.001)
    item = await delivered(gateway)
    assert item.state == "parked"


async def test_an_object_that_is_not_conformant_never_leaves(objects: MemoryStore):
    def broken(study_id: str, revision: str) -> bytes:
        return report(study_id, revision).replace(b"UNVERIFIED", b"VERIFIED  ")

    peer = Peer()
    gateway = Gateway(objects, ONE, {"pacs": peer}, render=broken)
    item = await delivered(gateway)
    assert (item.state, peer.sent) == ("parked", [])
    assert item.problem is not None
    assert "VerificationFlag" in item.problem.detail
    assert gateway.attempts("pacs", "withheld") == 1


async def test_a_study_with_nothing_to_bring_has_no_item(objects: MemoryStore):
    gateway = Gateway(objects, ONE, {"pacs": Peer()}, render=lambda *_: b"")
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(lambda: is_over(gateway))
    assert await gateway.items() == []


async def test_a_destination_that_is_gone_parks_what_it_was_to_get(objects: MemoryStore):
    await (before := Gateway(objects, ONE)).outbox.promise(await before.complete())
    gateway = Gateway(objects, routing())
    async with gateway.running():
        await until(lambda: is_over(gateway))
    [item] = await gateway.items()
    assert item.problem is not None
    assert (item.state, "no destination of this name" in item.problem.detail) == ("parked", True)


async def test_a_rendering_of_a_later_version_is_parked(objects: MemoryStore):
    await (before := Gateway(objects, ONE)).outbox.promise(await before.complete())
    gateway = Gateway(objects, ONE, kinds=())
    async with gateway.running():
        await until(lambda: is_over(gateway))
    assert await gateway.states() == {"pacs": "parked"}


async def test_what_a_later_state_replaces_before_it_is_sent_is_not_sent(objects: MemoryStore):
    peer = Peer()
    gateway = Gateway(objects, ONE, {"pacs": peer})
    for _ in range(2):
        await gateway.outbox.promise(await gateway.complete())
    assert len(await gateway.items()) == 2
    item = None
    async with gateway.running():
        await until(lambda: is_over(gateway))
        [item] = await gateway.items()
    assert (item.state, list(item.objects)) == ("acknowledged", peer.sent)


async def test_a_study_that_is_complete_again_is_sent_under_another_uid(objects: MemoryStore):
    peer = Peer()
    gateway = Gateway(objects, ONE, {"pacs": peer})
    async with gateway.running():
        for count in (1, 2):
            await gateway.outbox.promise(await gateway.complete())
            await until(lambda: is_over(gateway))
            assert len(peer.sent) == count
    assert len(set(peer.sent)) == 2


async def test_order_is_kept_for_one_study_and_destination(objects: MemoryStore):
    """A later item waits for an earlier one that is to be sent again."""
    peer = Peer(errors=[DeliveryUnansweredError("full")])
    gateway = Gateway(objects, ONE, {"pacs": peer})
    await gateway.outbox.promise(await gateway.complete())
    await gateway.outbox.resend("S1")
    async with gateway.running():
        await until(lambda: is_over(gateway))
    first, second = await gateway.items()
    assert (first.attempts, second.attempts) == (2, 1)
    assert first.at <= second.at


async def test_a_deleted_study_is_not_sent(objects: MemoryStore):
    peer = Peer()
    gateway = Gateway(objects, ONE, {"pacs": peer})
    await gateway.outbox.promise(await gateway.complete())
    closing = Closing(study_id="S1", requested_at=NOW, reason=Reason.REQUEST)
    await gateway.documents.close(closing, lambda closing, _: closing)

    async def are_gone() -> bool:
        return not await objects.keys(DELIVERIES)

    async with gateway.running():
        await until(are_gone)
    assert peer.sent == []


async def test_a_gateway_that_ends_between_sending_and_its_note_sends_the_same_object_again(
    objects: MemoryStore,
):
    peer = Peer(gate=asyncio.Event())
    gateway = Gateway(objects, ONE, {"pacs": peer})
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(lambda: bool(peer.sent))
    peer.gate = None
    async with (other := Gateway(objects, ONE, {"pacs": peer})).running():
        await until(lambda: is_over(other))
    assert len(peer.sent) == 2
    assert len(set(peer.sent)) == 1
    assert await other.states() == {"pacs": "acknowledged"}


def several(study_id: str, revisions: list[str], made: list[str]) -> Renderer:
    """Makes a report for each revision, and notes it as it is made."""

    async def render(_: str, __: Destination) -> AsyncGenerator[Rendering]:
        for revision in revisions:
            rendering = dicom_rendering(SR, report(study_id, revision))
            made.append(rendering.uid)
            yield rendering

    return render


async def test_an_object_is_made_once_the_one_before_it_is_acknowledged(objects: MemoryStore):
    peer, made = Peer(gate=asyncio.Event()), list[str]()
    gateway = Gateway(objects, ONE, {"pacs": peer}, renderers={SR: several("S1", ["2", "3"], made)})
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(lambda: len(peer.sent) == 1)
        assert made == peer.sent
        assert peer.gate is not None
        peer.gate.set()
        await until(lambda: is_over(gateway))
    [item] = await gateway.items()
    assert list(item.objects) == peer.sent == made
    assert len(set(made)) == 2


async def test_what_was_taken_before_an_object_that_is_refused_is_listed_and_on_record(
    objects: MemoryStore,
):
    peer, made = Peer(), list[str]()

    async def refuse_the_second(rendering: Rendering, deadline: Deadline) -> None:
        del deadline
        if peer.sent:
            raise DeliveryRefusedError("no")
        peer.sent.append(rendering.uid)

    peer.send = refuse_the_second  # type: ignore[method-assign]
    gateway = Gateway(objects, ONE, {"pacs": peer}, renderers={SR: several("S1", ["2", "3"], made)})
    item = await delivered(gateway)
    assert (item.state, list(item.objects)) == ("parked", peer.sent)
    records = [json.loads(line) for line in gateway.sink.lines]
    assert [(each["outcome"], each["disclosed"]["objects"]) for each in records] == [
        ("refused", [made[1]]),
        ("success", [made[0]]),
    ]


async def test_an_object_that_is_there_already_is_not_sent_with_the_others_again(
    objects: MemoryStore,
):
    peer, made = Peer(held=[True, None, True]), list[str]()
    taken = peer.send

    async def lose_the_second(rendering: Rendering, deadline: Deadline) -> None:
        if len(peer.sent) == 1 and peer.asked == 1:
            raise DeliveryUnansweredError("silence", is_sent=True)
        await taken(rendering, deadline)

    peer.send = lose_the_second  # type: ignore[method-assign]
    gateway = Gateway(objects, ONE, {"pacs": peer}, renderers={SR: several("S1", ["2", "3"], made)})
    item = await delivered(gateway)
    assert (item.state, item.attempts) == ("confirmed", 2)
    assert peer.sent == list(item.objects) == made[:2]


async def test_the_class_of_a_report_is_noted_where_it_is_another(objects: MemoryStore):
    sop_class = ReportClass.ENHANCED.sop_class_uid

    async def render(study_id: str, _: Destination) -> AsyncGenerator[Rendering]:
        yield replace(dicom_rendering(SR, report(study_id)), sop_class_uid=sop_class)

    gateway = Gateway(objects, ONE, {"pacs": Peer()}, renderers={SR: render})
    item = await delivered(gateway)
    assert item.classes == dict.fromkeys(item.objects, sop_class)
    item = await delivered(Gateway(MemoryStore(), ONE, {"pacs": Peer()}))
    assert item.classes == {}
