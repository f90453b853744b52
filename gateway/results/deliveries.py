"""Results of a study for destinations, as its document lists them.

They are listed by the swap that a completed study's deliveries are promised with; see
`gateway.delivery.outbox`. What is brought to one destination keeps its order: an item has its turn
once no earlier one for the same destination is on its way.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from gateway.observability.pseudonyms import key_reference
from gateway.schemas.report_class import DEFAULT
from gateway.schemas.result import DeliveryState, StudyDelivery
from gateway.work.keys import WorkId, delivery_kind, parked_key

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gateway.results.documents import DeliveryItem, StudyRecord
    from gateway.schemas.result import RenderingKind

# Of items that ended: a study that is opened again and again must not grow without bound.
_MOST_ENDED = 64
_ON_ITS_WAY = frozenset({DeliveryState.WAITING, DeliveryState.SENT})
_ENDED = frozenset({DeliveryState.ACKNOWLEDGED, DeliveryState.CONFIRMED})


def delivery_of(record: StudyRecord, item_id: str) -> DeliveryItem | None:
    """Return the item of this id; None where the document has none."""
    return next((item for item in record.deliveries if item.id == item_id), None)


def is_on_its_way(item: DeliveryItem) -> bool:
    """Return True if an item is still to be brought."""
    return item.state in _ON_ITS_WAY


def has_turn(record: StudyRecord, item: DeliveryItem) -> bool:
    """Return True if no earlier item is on its way to the same destination."""
    for other in record.deliveries:
        if other.id == item.id:
            return True
        if other.destination == item.destination and is_on_its_way(other):
            return False
    return True


def next_for(record: StudyRecord, destination: str) -> DeliveryItem | None:
    """Return the first item on its way to a destination; None where none is."""
    found = (item for item in record.deliveries if item.destination == destination)
    return next((item for item in found if is_on_its_way(item)), None)


def brought(
    record: StudyRecord,
    destination: str,
    rendering: RenderingKind,
    states: Collection[DeliveryState],
) -> list[str]:
    """Return identifiers of what was sent to a destination and is in these states, oldest first."""
    return [
        uid
        for item in record.deliveries
        if (item.destination, item.rendering) == (destination, rendering) and item.state in states
        for uid in item.objects
    ]


def report_class(record: StudyRecord, sop_instance_uid: str) -> str:
    """Return the SOP Class UID of a structured report that was sent."""
    known = (item.classes.get(sop_instance_uid) for item in record.deliveries)
    return next(filter(None, known), DEFAULT.sop_class_uid)


def identities_told(
    record: StudyRecord,
    destination: str,
    rendering: RenderingKind,
    states: Collection[DeliveryState],
) -> frozenset[int]:
    """Return under which identities a destination was told, by the number of corrections before."""
    return frozenset(
        number
        for item in record.deliveries
        if (item.destination, item.rendering) == (destination, rendering)
        and item.state in states
        and item.objects
        for number in item.corrections
    )


def corrections_of(item: DeliveryItem, before: StudyRecord, now: StudyRecord) -> tuple[int, ...]:
    """Return the item's corrections after an attempt.

    What was sent is of an identity that the study had between both of its states.
    """
    earlier = item.corrections if item.objects else ()
    attempt = range(len(before.former), len(now.former) + 1)
    return tuple(sorted({*earlier, *attempt}))


def with_deliveries(record: StudyRecord, items: Sequence[DeliveryItem]) -> StudyRecord:
    """Return the record with more items; of those that ended long ago the oldest go.

    The last of each form and destination stays.
    """
    known = {item.id for item in record.deliveries}
    listed = [*record.deliveries, *(item for item in items if item.id not in known)]
    ended = [item for item in listed if item.state in _ENDED]
    last = {(item.destination, item.rendering): item.id for item in ended}
    oldest = {item.id for item in ended[: max(0, len(ended) - _MOST_ENDED)]}
    gone = oldest.difference(last.values())
    return record.changed(deliveries=tuple(item for item in listed if item.id not in gone))


def with_delivery(record: StudyRecord, item_id: str, **news: object) -> StudyRecord:
    """Return the record with an item changed; its time is that of a new state."""
    before = delivery_of(record, item_id)
    if before is None:
        return record
    if news.get("state", before.state) != before.state:
        news["at"] = dt.datetime.now(dt.UTC)
    after = before.model_copy(update=news)
    items = (after if item.id == item_id else item for item in record.deliveries)
    return record.changed(deliveries=tuple(items))


def without_delivery(record: StudyRecord, item_id: str) -> StudyRecord:
    """Return the record without an item; the same where it has none."""
    items = tuple(item for item in record.deliveries if item.id != item_id)
    return record if len(items) == len(record.deliveries) else record.changed(deliveries=items)


def study_deliveries(record: StudyRecord) -> tuple[StudyDelivery, ...] | None:
    """Return the view of a study's items; None where it has none."""
    return tuple(told(record.study_id, item) for item in record.deliveries) or None


def told(study_id: str, item: DeliveryItem) -> StudyDelivery:
    """Return the view of an item."""
    parked = None
    if item.state is DeliveryState.PARKED:
        work = WorkId(study_id, item.id)
        parked = key_reference(parked_key(delivery_kind(item.destination), work))
    return StudyDelivery(
        destination=item.destination,
        rendering=item.rendering,
        state=item.state,
        attempts=item.attempts,
        at=item.at,
        objects=item.objects,
        problem=item.problem,
        warning=item.warning,
        parked=parked,
    )
