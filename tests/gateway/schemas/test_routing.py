"""The routing document: senders and destinations with names of their own."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from gateway.schemas.routing import RoutingDocument, routing_schema
from tests.gateway.schemas.test_routing_destinations import PACS, VNA, destinations

CT: dict[str, Any] = {"name": "ward-3", "ae_title": "CT 3", "addresses": ["10.1.2.0/24"]}


def routing(*senders: dict[str, Any]) -> RoutingDocument:
    return RoutingDocument.model_validate(
        {"schema": "radstream.routing/1", "senders": list(senders)}
    )


def test_senders_may_share_a_title_but_no_name():
    assert len(routing(CT, CT | {"name": "ward-4"}).senders) == 2
    with pytest.raises(ValidationError, match="same name"):
        routing(CT, CT | {"ae_title": "CT 4"})


@pytest.mark.parametrize("title", ["", " CT", "CT ", "A" * 17, "A\\B", "CÄ", "A\nB"])
def test_what_is_no_ae_title_is_refused(title: str):
    with pytest.raises(ValidationError, match="ae_title"):
        routing(CT | {"ae_title": title})


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("addresses", []),
        ("addresses", ["pacs.example.org"]),
        ("name", "Ward\n3"),
        ("colour", "blue"),
    ],
)
def test_every_part_of_a_sender_is_checked(part: str, value: object):
    with pytest.raises(ValidationError, match=part):
        routing(CT | {part: value})


def test_destinations_have_names_of_their_own():
    with pytest.raises(ValidationError, match="same name"):
        destinations(PACS, VNA | {"name": "pacs"})


def test_rules_name_destinations_that_there_are():
    rule = {"name": "all", "when": {"all": []}, "destinations": ["pacs"]}
    document = {"schema": "radstream.routing/1", "rules": [rule]}
    assert RoutingDocument.model_validate(document | {"destinations": [PACS]}).rules
    with pytest.raises(ValidationError, match="not among the destinations"):
        RoutingDocument.model_validate(document | {"destinations": [VNA]})


def test_the_published_schema_takes_what_the_gateway_takes():
    schema = routing_schema()
    Draft202012Validator.check_schema(schema)
    document = {
        "schema": "radstream.routing/1",
        "senders": [CT],
        "rules": [
            {
                "name": "chest",
                "when": {"not": {"any": [{"field": "dicom.Rows", "range": {"from": 10}}]}},
                "models": [{"name": "cxr"}],
            }
        ],
        "otherwise": {},
    }
    assert RoutingDocument.model_validate(document).has_rules
    validator = Draft202012Validator(schema)
    assert list(validator.iter_errors(document)) == []
    assert list(validator.iter_errors(document | {"rules": [{"name": "chest"}]})) != []
