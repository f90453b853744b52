"""States of deliveries, as the documents of their studies have them."""

import datetime as dt
from collections.abc import Callable

import pytest

from gateway.delivery.delivery_states import DeliveryStates
from gateway.errors import ParkedItemNotFoundError
from gateway.results.documents import StudyRecord
from gateway.results.tombstone import Closing, Reason
from gateway.schemas.result import DeliveryState
from gateway.work.keys import WorkId
from gateway.work.states import Standing
from tests.support.delivery import NOW, Gateway, dicom, routing
from tests.support.store import MemoryStore

ONE = routing(dicom("pacs", 1))


@pytest.fixture
async def gateway() -> Gateway:
    return Gateway(MemoryStore(), ONE)


def states_of(
    gateway: Gateway, ended: Callable[[StudyRecord], None] = lambda _: None
) -> DeliveryStates:
    return DeliveryStates(gateway.objects, gateway.documents, ended)


async def works(gateway: Gateway) -> list[WorkId]:
    return [WorkId("S1", item.id) for item in await gateway.items()]


async def test_an_item_has_its_turn_once_no_earlier_one_is_on_its_way(gateway: Gateway):
    await gateway.outbox.promise(await gateway.complete())
    await gateway.outbox.resend("S1")
    first, second = await works(gateway)
    states = states_of(gateway)
    assert await states.standing(first, tried=False) is Standing.PENDING
    assert await states.standing(second, tried=False) is Standing.QUEUED


@pytest.mark.parametrize(("tried", "standing"), [(True, "DONE"), (False, "UNPROMISED")])
async def test_an_item_that_is_not_listed_is_done_or_not_promised_yet(
    gateway: Gateway, tried: bool, standing: str
):
    await gateway.complete()
    found = await states_of(gateway).standing(WorkId.new("S1", NOW), tried=tried)
    assert found is Standing[standing]


async def test_items_of_a_study_that_is_gone_are_deleted(gateway: Gateway):
    states = states_of(gateway)
    assert await states.standing(WorkId.new("S9", NOW), tried=True) is Standing.DELETED
    await gateway.outbox.promise(await gateway.complete())
    [work] = await works(gateway)
    closing = Closing(study_id="S1", requested_at=NOW, reason=Reason.REQUEST)
    await gateway.documents.close(closing, lambda closing, _: closing)
    assert await states.standing(work, tried=True) is Standing.DELETED


async def test_entries_of_a_withdrawal_come_before_its_items_and_count_no_longer_than_it(
    gateway: Gateway,
):
    name = "!S1!20260131T120000000000Z"
    states, work = states_of(gateway), WorkId.new(name, NOW)
    gateway.objects.objects[f"work/withdrawals/{name}/study.json"] = b"{}"
    assert await states.standing(work, tried=False) is Standing.UNPROMISED
    assert await states.standing(work, tried=True) is Standing.DELETED
    del gateway.objects.objects[f"work/withdrawals/{name}/study.json"]
    assert await states.standing(work, tried=False) is Standing.DELETED


async def test_only_what_failed_is_revived(gateway: Gateway):
    await gateway.complete()
    with pytest.raises(ParkedItemNotFoundError):
        await states_of(gateway).revived(WorkId.new("S1", NOW), dt.datetime.now(dt.UTC))


async def test_what_is_on_its_way_is_not_discarded(gateway: Gateway):
    await gateway.outbox.promise(await gateway.complete())
    [work] = await works(gateway)
    assert not await states_of(gateway).discarded(work)
    [item] = await gateway.items()
    assert item.state is DeliveryState.WAITING
