"""A routing document is replaced as a whole, and its followers are told."""

from typing import Any

from gateway.routing.in_force import Routes, Routing, digest_of
from gateway.schemas.routing import RoutingDocument

CT: dict[str, Any] = {"name": "ward-3", "ae_title": "CT3", "addresses": ["10.1.2.0/24"]}


def routing(**parts: Any) -> RoutingDocument:
    return RoutingDocument.model_validate({"schema": "radstream.routing/1"} | parts)


def test_followers_are_told_of_the_routes_that_hold():
    told: list[Routes] = []
    held = Routing(routing())
    held.follow(told.append)
    held.replace(routing(senders=[CT]))
    assert told == [held.routes]
    assert held.routes.senders.named("ward-3") is not None
    assert held.document == routing(senders=[CT])


def test_a_gateway_without_a_document_has_an_empty_one():
    assert not Routing().is_set
    assert len(Routing().routes.senders) == 0
    assert Routing(routing()).is_set


def test_the_digest_follows_the_content():
    assert digest_of(routing(senders=[CT])) == digest_of(
        routing(senders=[dict(reversed(CT.items()))])
    )
    assert digest_of(routing(senders=[CT])) != digest_of(routing(senders=[CT | {"ae_title": "X"}]))
