"""The queue of records is bounded in bytes, and hands out what one call can take."""

import asyncio

from gateway.telemetry.queue import RecordQueue
from gateway.telemetry.records import BATCH_RECORDS, TelemetryRecord
from tests.gateway.telemetry.recorded import records

ROOM = 10**6


def filled(items: list[TelemetryRecord], limit_bytes: int = ROOM) -> RecordQueue:
    queue = RecordQueue(limit_bytes)
    for item in items:
        assert queue.offer(item)
    return queue


def test_records_are_taken_in_the_order_they_came():
    items = records(3)
    queue = filled(items)
    assert queue.take() == items
    assert (queue.take(), queue.used_bytes) == ([], 0)


def test_one_call_takes_no_more_than_a_sink_does():
    items = records(BATCH_RECORDS + 1)
    queue = filled(items)
    assert queue.take() == items[:BATCH_RECORDS]
    assert queue.take() == items[BATCH_RECORDS:]


def test_a_full_queue_refuses_and_keeps_what_it_has():
    [first, second] = records(2)
    queue = filled([first], limit_bytes=filled([first]).used_bytes)
    assert not queue.offer(second)
    assert queue.take() == [first]
    assert queue.offer(second)


def test_what_is_put_back_is_the_oldest_again_as_far_as_it_fits():
    items = records(3)
    one = filled(items[:1]).used_bytes
    queue = filled(items, limit_bytes=3 * one)
    taken = queue.take()
    [late] = records(1)
    assert queue.offer(late)
    assert queue.put_back(taken) == 2
    assert queue.take() == [*items[1:], late]


async def test_a_closed_queue_ends_after_its_last_records():
    items = records(2)
    queue = filled(items)
    queue.close()
    assert await queue.next_batch(60) == items
    assert await queue.next_batch(60) == []
    assert await queue.next_crowd() == []


async def test_a_crowd_is_handed_out_from_the_half_on():
    items = records(2)
    queue = RecordQueue(3 * filled(items[:1]).used_bytes)
    waiting = asyncio.create_task(queue.next_crowd())
    queue.offer(items[0])
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.offer(items[1])
    assert await waiting == items
