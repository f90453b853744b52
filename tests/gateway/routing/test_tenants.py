"""The routing document beside tenants: whole or refused, and narrowed to each of them."""

import datetime as dt
from typing import Any

import pytest

from gateway.routing.conditions import Facts
from gateway.routing.in_force import Routes, Routing
from gateway.routing.tenants import routing_of, tenant_faults
from gateway.schemas.routing import RoutingDocument

TENANTS = ("north", "south")
KEY: dict[str, Any] = {"name": "ris", "key": "ris", "tenant": "north"}
CT: dict[str, Any] = {
    "name": "ct",
    "ae_title": "CT",
    "addresses": ["10.0.0.0/8"],
    "tenant": "south",
}


def pacs(name: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "dicom",
        "name": name,
        "ae_title": "PACS",
        "host": "pacs",
        "port": 104,
        **more,
    }


def document(**parts: Any) -> RoutingDocument:
    return RoutingDocument.model_validate({"schema": "radstream.routing/1"} | parts)


@pytest.mark.parametrize(
    ("parts", "tenants", "fault"),
    [
        ({"senders": [KEY, CT]}, TENANTS, None),
        ({"senders": [{"name": "ris", "key": "ris"}]}, (), None),
        ({"senders": [KEY, {"name": "b", "prefix": "B"}]}, TENANTS, "/senders/1: names no tenant"),
        ({"senders": [KEY | {"tenant": "east"}]}, TENANTS, "/senders/0: its tenant is none"),
        ({"senders": [KEY]}, (), "/senders/0: its tenant is none"),
        ({"destinations": [pacs("a")]}, TENANTS, "/destinations/0: names no tenant"),
        ({"destinations": [pacs("a", tenant="north")]}, (), "/destinations/0: its tenant is none"),
        (
            {"senders": [KEY, {"name": "ris", "prefix": "B", "tenant": "south"}]},
            TENANTS,
            "/senders/1: another sender of this name has another tenant",
        ),
    ],
)
def test_what_could_be_anybodys_is_refused(
    parts: dict[str, Any], tenants: tuple[str, ...], fault: str | None
):
    found = next(tenant_faults(document(**parts), tenants), None)
    if fault is None:
        assert found is None
    else:
        assert (found or "").startswith(fault)


def test_a_tenant_has_its_own_senders_and_destinations_alone():
    rule = {"name": "all", "when": {"field": "sender", "present": True}}
    whole = Routing(
        document(
            senders=[KEY, CT],
            destinations=[pacs("a", tenant="north"), pacs("b", tenant="south")],
            rules=[rule | {"destinations": ["a", "b"]}],
            otherwise={"destinations": ["b"]},
        )
    )
    north, south = (routing_of(whole, tenant) for tenant in TENANTS)
    assert [each.name for each in north.document.destinations] == ["a"]
    assert [each.name for each in north.document.senders] == ["ris"]
    assert north.document.rules[0].destinations == ("a",)
    assert north.document.otherwise is not None
    assert north.document.otherwise.destinations == ()
    assert [each.name for each in south.document.destinations] == ["b"]
    assert south.document.rules[0].destinations == ("b",)
    assert south.is_set

    whole.replace(document(destinations=[pacs("c", tenant="north")]))
    assert [each.name for each in north.document.destinations] == ["c"]
    assert (south.document.destinations, south.document.otherwise) == ((), None)
    assert routing_of(whole, None) is whole


def test_rules_may_ask_for_the_tenant_of_a_sender_even_of_one_that_is_gone():
    rule = {"name": "of-north", "when": {"field": "tenant", "equals": "north"}}
    whole = Routing(document(senders=[KEY, CT], rules=[rule], otherwise={}))
    now = dt.datetime.now(dt.UTC)

    def applying(routes: Routes, sender: str) -> tuple[str, ...]:
        facts = Facts({}, now, "rest", sender, routes.tenant_of(sender))
        return routes.rules.decide(facts).rules

    assert applying(whole.routes, "ris") == ("of-north",)
    assert applying(whole.routes, CT["name"]) == applying(whole.routes, "unknown") == ()
    north, south = (routing_of(whole, tenant) for tenant in TENANTS)
    whole.replace(document(rules=[rule], otherwise={}))
    assert applying(north.routes, "ris") == ("of-north",)
    assert applying(north.routes_of(whole.document), "ris") == ("of-north",)
    assert applying(south.routes, CT["name"]) == ()
