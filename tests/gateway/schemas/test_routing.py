"""The routing document: senders with names of their own."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.schemas.routing import RoutingDocument

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
