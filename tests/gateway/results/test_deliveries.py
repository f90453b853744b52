"""Items of a study for destinations: their order, their bound and their view."""

import datetime as dt
from typing import Any

from gateway.observability.pseudonyms import key_reference
from gateway.results.deliveries import (
    brought,
    has_turn,
    next_for,
    study_deliveries,
    with_deliveries,
    with_delivery,
    without_delivery,
)
from gateway.results.documents import DeliveryItem, StudyRecord
from gateway.results.view import study_result
from gateway.schemas.result import DeliveryState, RenderingKind

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
STATE = DeliveryState


def item(number: int, destination: str = "pacs", **changes: Any) -> DeliveryItem:
    return DeliveryItem(
        **{
            "id": f"20260131T120000{number:06}Z-e07bf0ecb960",
            "destination": destination,
            "rendering": RenderingKind.STRUCTURED_REPORT,
            "revision": "r",
            "at": NOW,
        }
        | changes
    )


def record(*items: DeliveryItem) -> StudyRecord:
    return StudyRecord.begun("S1").changed(deliveries=items)


def test_an_item_has_its_turn_after_those_before_it_for_the_same_destination():
    first, other, second = item(1), item(2, "vna"), item(3)
    study = record(first, other, second)
    assert [has_turn(study, each) for each in (first, other, second)] == [True, True, False]
    for state in (STATE.ACKNOWLEDGED, STATE.CONFIRMED, STATE.PARKED):
        assert has_turn(with_delivery(study, first.id, state=state), second)
    assert not has_turn(with_delivery(study, first.id, state=STATE.SENT), second)


def test_next_is_the_first_that_is_on_its_way():
    study = record(item(1, state=STATE.PARKED), item(2), item(3))
    assert next_for(study, "pacs") == item(2)
    assert next_for(study, "vna") is None


def test_what_was_brought_to_a_destination_is_told_by_its_identifiers():
    study = record(
        item(1, state=STATE.ACKNOWLEDGED, objects=("a", "b")),
        item(2, state=STATE.SENT, objects=("c",)),
        item(3, "vna", state=STATE.CONFIRMED, objects=("d",)),
        item(4, state=STATE.CONFIRMED, rendering=RenderingKind.ORU, objects=("e",)),
        item(5, state=STATE.CONFIRMED, objects=("f",)),
    )
    report = RenderingKind.STRUCTURED_REPORT
    states = {STATE.ACKNOWLEDGED, STATE.CONFIRMED}
    assert brought(study, "pacs", report, states) == ["a", "b", "f"]
    assert brought(study, "pacs", RenderingKind.FHIR, states) == []


def test_time_is_that_of_the_state():
    study = record(item(1))
    [same] = with_delivery(study, item(1).id, attempts=3).deliveries
    assert (same.attempts, same.at) == (3, NOW)
    [other] = with_delivery(study, item(1).id, state=STATE.SENT).deliveries
    assert other.at > NOW


def test_an_item_that_is_not_there_changes_nothing():
    study = record(item(1))
    assert with_delivery(study, "x", attempts=3) is study
    assert without_delivery(study, "x") is study
    assert without_delivery(study, item(1).id).deliveries == ()


def test_an_item_is_listed_once():
    assert with_deliveries(record(item(1)), [item(1), item(2)]).deliveries == (item(1), item(2))


def test_of_items_that_ended_the_oldest_go():
    ended = [item(number, state=STATE.CONFIRMED) for number in range(100)]
    parked = item(200, state=STATE.PARKED)
    found = with_deliveries(record(parked, *ended), [item(201)]).deliveries
    assert found == (parked, *ended[36:], item(201))


def test_the_last_of_each_destination_and_form_stays_however_old():
    vna = [item(number, "vna", state=STATE.CONFIRMED) for number in range(2)]
    oru = item(2, state=STATE.ACKNOWLEDGED, rendering=RenderingKind.ORU)
    ended = [item(number, state=STATE.CONFIRMED) for number in range(3, 103)]
    found = with_deliveries(record(*vna, oru, *ended), [item(201)]).deliveries
    assert found == (vna[1], oru, *ended[36:], item(201))


def test_the_view_tells_what_became_of_each_and_the_id_of_a_parked_one():
    assert study_deliveries(record()) is None
    parked = item(2, "vna", state=STATE.PARKED, objects=("1.2.3",))
    result = study_result(record(item(1), parked))
    assert result.deliveries is not None
    first, second = result.deliveries
    assert (first.destination, first.state, first.parked) == ("pacs", "waiting", None)
    assert second.objects == ("1.2.3",)
    assert second.parked == key_reference(f"results/S1/deliveries/vna/{parked.id}")
