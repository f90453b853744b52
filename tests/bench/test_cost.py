"""The arithmetic of cost, by hand."""

import datetime as dt
import tomllib
from collections import Counter

import pytest

from bench.autoscaling.cost import (
    INDEX_GETS,
    INDEX_PUTS,
    PLANS,
    POINTERS,
    PRICES,
    Plan,
    all_in,
    fixed,
    marginal,
    read_prices,
    studies_for,
    ways_in,
)
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore

PAID_LIKE_A_PUT = ("create", "replace", "swap", "keys")


def test_every_price_says_whose_it_is_and_where_it_was_read():
    for name, price in tomllib.loads(PRICES.read_text()).items():
        assert price["usd"] > 0, name
        assert price["source"].startswith("https://aws.amazon.com/"), name
        assert price["checked"], name


def test_a_study_more_pays_for_what_it_uses():
    prices = dict.fromkeys(read_prices(), 1.0)
    prices["node_hour"] = 7.2  # two cores: 0.001 a core and second
    parts = marginal(prices, ways_in(cpu_s=0.5)["dropped"], utilisation=0.5)
    assert parts["compute"] == pytest.approx(1000 * 0.5 * 0.001 / 0.5)
    # Its pairing and its pictures; pointers, entry and merge of the search index.
    assert parts["S3 requests"] == pytest.approx((8 + 3) + (6 + 2))
    assert parts["S3 storage, first month"] == pytest.approx(3.08)
    assert parts["load balancer and firewall"] == pytest.approx(1.4 + 0.001)
    # Two objects: an event, a call and three requests of the queue each, and 0.05 GB seconds.
    assert parts["drop folder"] == pytest.approx(2 * (0.002 + 0.003 + 50))
    # Eight events: 1 KB and 5 KB; 1.5 KB of log lines.
    assert parts["telemetry and logs"] == pytest.approx(8 * 6e-3 + 1.5e-3)


def test_a_plan_costs_its_hours_and_its_months():
    prices = dict.fromkeys(read_prices(), 1.0)
    machine = Plan("a machine", cluster=False, nodes=1, edge=False)
    assert fixed(prices, machine) == pytest.approx(730 + 20)
    whole = Plan("all", cluster=True, nodes=2, edge=True)
    # Two nodes, cluster, NAT, balancer, stream; disks, ACL, six rules, key.
    assert fixed(prices, whole) == pytest.approx(730 * 6 + 40 + 8)


def test_the_volume_for_a_target_meets_it():
    assert all_in(100, 0.5, 50_000) == pytest.approx(2.5)
    assert studies_for(100, 0.5, 2.5) == pytest.approx(50_000)


def test_each_plan_is_dearer_than_the_next():
    costs = [fixed(read_prices(), plan) for plan in PLANS]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("studies", [1, 10])
async def test_requests_of_the_index_are_those_that_are_paid_for(studies: int):
    objects = MemoryStore()
    gateway = IndexingGateway(objects)
    now = dt.datetime.now(dt.UTC)
    await gateway.receive("first", now, patient_id="P")
    await gateway.write()
    await gateway.index.writer.merge()
    for number in range(studies):
        uid = {"study_instance_uid": f"1.2.{number}"}
        identity = {"patient_id": f"P{number}", "accession_number": f"A{number}"}
        await gateway.receive(f"S{number}", now, reading=uid, **identity)
    objects.calls.clear()
    await gateway.write()
    await gateway.index.writer.merge()
    asked = Counter(call for call, _ in objects.calls)
    shared = INDEX_PUTS - POINTERS
    assert sum(asked[call] for call in PAID_LIKE_A_PUT) == studies * POINTERS + shared
    assert asked["read"] == INDEX_GETS
    assert asked.keys() <= {*PAID_LIKE_A_PUT, "read", "delete"}  # S3 takes nothing for the last
