"""Reports on storage commitment that come when no attempt waits: what becomes of the item."""

import asyncio
from functools import partial

import pytest

from gateway.delivery.storage_commitment import ReceivedReport
from gateway.results.deliveries import with_delivery
from gateway.results.documents import DeliveryItem
from gateway.results.tombstone import Reason
from gateway.schemas.result import DeliveryState
from gateway.storage.layout import ASKED
from tests.support.committing_archives import NO_SUCH_INSTANCE, Committing, committing
from tests.support.delivery import Gateway, dicom, routing
from tests.support.gateway import until
from tests.support.store import MemoryStore

RESOURCE_LIMITATION = 0x0213


def delivering_to(pacs: Committing, objects: MemoryStore) -> Gateway:
    """A gateway that waits no time for reports."""
    where = dicom("pacs", pacs.port, storage_commitment={"wait_s": 0.01})
    return Gateway(objects, routing(where), timeout_s=60.0)


async def is_in(gateway: Gateway, state: str) -> bool:
    return await gateway.states() == {"pacs": state}


async def none_is_asked(objects: MemoryStore) -> bool:
    return not await objects.keys(ASKED)


async def acknowledged(pacs: Committing, objects: MemoryStore) -> str:
    """Have a study brought without a report in time; return the Transaction UID."""
    gateway = delivering_to(pacs, objects)
    await gateway.outbox.promise(await gateway.complete())
    async with gateway.running():
        await until(partial(is_in, gateway, "acknowledged"))
    return str(pacs.asked[-1].TransactionUID)


async def report(
    gateway: Gateway, transaction_uid: str, committed: list[str], failed: dict[str, int | None]
) -> bool:
    received = ReceivedReport(transaction_uid, frozenset(committed), failed)
    return await asyncio.to_thread(gateway.commitments.take, received)


async def only_item(gateway: Gateway) -> DeliveryItem:
    [item] = await gateway.items()
    return item


async def test_any_gateway_takes_a_report_after_the_attempt():
    with committing(is_silent=True) as pacs:
        transaction = await acknowledged(pacs, objects := MemoryStore())
        async with (other := delivering_to(pacs, objects)).running():
            item = before = await only_item(other)
            assert item.warning is not None
            assert await report(other, transaction, [*item.objects], {})
            await until(partial(is_in, other, "confirmed"))
            await until(partial(none_is_asked, objects))
            item = await only_item(other)
            assert (item.warning, item.problem, item.attempts) == (None, None, before.attempts)
            assert not await report(other, transaction, [*item.objects], {})


async def test_an_object_that_the_archive_lost_is_parked_and_can_be_sent_again():
    with committing(is_silent=True) as pacs:
        transaction = await acknowledged(pacs, objects := MemoryStore())
        async with (gateway := delivering_to(pacs, objects)).running():
            [uid] = (await only_item(gateway)).objects
            times = pacs.held[uid]
            assert await report(gateway, transaction, [], {uid: NO_SUCH_INSTANCE})
            await until(partial(is_in, gateway, "parked"))
            item = await only_item(gateway)
            assert item.problem is not None
            assert "reported not to hold it" in item.problem.detail
            await until(partial(none_is_asked, objects))
            pacs.is_silent = False
            [parked] = await gateway.parking.items(after="", limit=10)
            await gateway.lines.retry(parked)
            await until(lambda: pacs.held[uid] > times)
            await until(lambda: is_past(gateway, "parked"))


async def is_past(gateway: Gateway, state: str) -> bool:
    return not await is_in(gateway, state)


@pytest.mark.parametrize(("reason", "words"), [(RESOURCE_LIMITATION, "0213"), (None, "unknown")])
async def test_any_other_reason_is_told_and_nothing_is_sent_again(reason: int | None, words: str):
    with committing(is_silent=True) as pacs:
        transaction = await acknowledged(pacs, objects := MemoryStore())
        async with (gateway := delivering_to(pacs, objects)).running():
            before = await only_item(gateway)
            [uid] = before.objects
            assert await report(gateway, transaction, [], {uid: reason})
            await until(partial(none_is_asked, objects))
        item = await only_item(gateway)
        assert (item.state, item.attempts) == ("acknowledged", before.attempts)
        assert words in (item.warning or "")


async def test_an_item_on_its_way_is_left_to_its_attempt_and_told_afterwards():
    with committing(is_silent=True) as pacs:
        transaction = await acknowledged(pacs, objects := MemoryStore())
        gateway = delivering_to(pacs, objects)
        item = await only_item(gateway)

        async def change(state: DeliveryState) -> None:
            await gateway.documents.change_known(
                "S1", lambda record: with_delivery(record, item.id, state=state)
            )

        await change(DeliveryState.SENT)
        assert await report(gateway, transaction, [*item.objects], {})
        sweeps = asyncio.create_task(gateway.late.run())
        reads = len(objects.calls)
        await until(lambda: len(objects.calls) > reads + 20)
        assert await is_in(gateway, "sent")
        await change(DeliveryState.ACKNOWLEDGED)
        await until(partial(is_in, gateway, "confirmed"))
        sweeps.cancel()


async def test_the_request_goes_with_its_study():
    with committing(is_silent=True) as pacs:
        transaction = await acknowledged(pacs, objects := MemoryStore())
        gateway = delivering_to(pacs, objects)
        await gateway.deletion().delete("S1", Reason.RETENTION)
        assert await none_is_asked(objects)
        assert not await report(gateway, transaction, [], {})


async def test_a_request_that_the_archive_refuses_is_not_kept_and_made_again():
    with committing(status=0x0110, is_silent=True) as pacs:
        gateway = delivering_to(pacs, objects := MemoryStore())
        await gateway.outbox.promise(await gateway.complete())
        async with gateway.running():
            await until(lambda: len(pacs.asked) == 2)
            await until(partial(none_is_asked, objects))
            pacs.status = 0
            await until(lambda: len(pacs.asked) == 3)
            await until(partial(is_in, gateway, "acknowledged"))
        assert list(pacs.held.values()) == [1]


async def test_a_report_on_an_earlier_request_changes_nothing():
    with committing(is_silent=True) as pacs:
        first = await acknowledged(pacs, objects := MemoryStore())
        async with (gateway := delivering_to(pacs, objects)).running():
            [uid] = (await only_item(gateway)).objects
            await gateway.outbox.resend("S1")
            await until(lambda: len(pacs.asked) == 2)
            await until(partial(is_in, gateway, "acknowledged"))
            assert not await report(gateway, first, [], {uid: NO_SUCH_INSTANCE})
            assert await report(gateway, str(pacs.asked[1].TransactionUID), [uid], {})
            await until(partial(is_in, gateway, "confirmed"))
            states = [item.state for item in await gateway.items()]
        assert states == ["acknowledged", "confirmed"]
        assert await none_is_asked(objects)


async def test_what_is_acknowledged_and_never_there_is_parked_after_ten_times(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("gateway.delivery.deliver._MOST_UNPROVEN", 2)
    with committing(failure=NO_SUCH_INSTANCE) as pacs:
        objects = MemoryStore()
        changes = {"storage_commitment": {"wait_s": 30}}
        gateway = Gateway(objects, routing(dicom("pacs", pacs.port, **changes)))
        await gateway.outbox.promise(await gateway.complete())
        async with gateway.running():
            await until(partial(is_in, gateway, "parked"))
        item = await only_item(gateway)
        assert item.problem is not None
        assert "it acknowledged the result and does not hold it" in item.problem.detail
        assert gateway.attempts("pacs", "not_held") == 2
        assert await none_is_asked(objects)
