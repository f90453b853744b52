"""Keys of work: their parts come back, and foreign keys have none."""

import datetime as dt

import pytest

from gateway.schemas.routing_rules import Lane
from gateway.storage.layout import CALLBACKS, DELIVERIES, SUBMISSIONS
from gateway.work.keys import (
    KINDS,
    WorkId,
    delivery_kind,
    destination_of,
    entry_key,
    of_entry,
    of_parked,
    parked_key,
    received_at,
    to_the_second,
)

CAME = dt.datetime(2026, 1, 31, 8, 15, 2, 133250, dt.UTC)
# A study_id may have dots and dashes.
WORK = WorkId.new("1.2.840-7", CAME)


def test_a_name_has_the_time_at_which_its_work_came():
    assert WORK.received_at == received_at(WORK.id) == CAME
    assert WorkId.new("S1", CAME) != WorkId.new("S1", CAME)
    with pytest.raises(ValueError, match="does not match"):
        received_at("no time")


@pytest.mark.parametrize("lane", Lane)
def test_a_name_tells_the_lane_in_which_its_work_waits(lane: Lane):
    work = WorkId.new("S1", CAME, lane)
    found = of_entry(SUBMISSIONS, entry_key(SUBMISSIONS, work, CAME))
    assert found is not None
    assert (found[0].lane, found[0].received_at) == (lane, CAME)
    assert WorkId.derived("S1", CAME, "pacs").lane is Lane.ROUTINE


def test_entries_are_listed_in_the_order_of_their_times():
    later = CAME + dt.timedelta(minutes=1)
    first, second = (entry_key(SUBMISSIONS, WORK, due) for due in (CAME, later))
    assert first < second
    assert of_entry(SUBMISSIONS, second) == (WORK, to_the_second(later))


@pytest.mark.parametrize(
    "name",
    ["", "x", "20260131T081502Z/x.S1", "x/20260131T081502133250Z-e07bf0ecb960.S1"],
)
def test_other_keys_are_of_no_work(name: str):
    assert of_entry(SUBMISSIONS, SUBMISSIONS + name) is None


def test_work_for_each_destination_is_a_kind_of_its_own():
    key = entry_key(delivery_kind("pacs"), WORK, CAME)
    assert of_entry(delivery_kind("pacs"), key) == (WORK, to_the_second(CAME))
    assert of_entry(DELIVERIES, key) == (WORK, to_the_second(CAME))  # for those of a study
    parked = parked_key(delivery_kind("pacs"), WORK)
    assert destination_of(parked) == "pacs"
    assert of_parked(delivery_kind("pacs"), parked) == WORK
    assert of_parked(delivery_kind("vna"), parked) is None
    assert destination_of(parked_key(CALLBACKS, WORK)) is None


def test_work_of_a_withdrawal_is_kept_apart_from_studies():
    work = WorkId("!1.2.840-7!20260131T081502133250Z", WORK.id)
    kind = delivery_kind("pacs")
    parked = parked_key(kind, work)
    assert parked == f"work/withdrawals/{work.study_id}/deliveries/pacs/{work.id}"
    assert (of_parked(kind, parked), destination_of(parked)) == (work, "pacs")
    assert of_entry(kind, entry_key(kind, work, CAME)) == (work, to_the_second(CAME))


@pytest.mark.parametrize("kind", KINDS)
def test_parked_items_name_work_of_their_kind_alone(kind: str):
    key = parked_key(kind, WORK)
    assert of_parked(kind, key) == WORK
    assert all(of_parked(other, key) is None for other in KINDS if other != kind)
    assert of_parked(kind, "images/S1/front.png") is None
