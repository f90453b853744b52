"""Senders that are known by a key, a token or the paths of their files."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.schemas.routing import RoutingDocument

CT: dict[str, Any] = {"name": "a", "ae_title": "CT3", "addresses": ["10.1.2.0/24"]}
KEY: dict[str, Any] = {"name": "a", "key": "ris"}


def routing(*senders: dict[str, Any]) -> RoutingDocument:
    return RoutingDocument.model_validate({"schema": "radstream.routing/1", "senders": senders})


def test_one_name_may_stand_for_several_ways():
    document = routing(CT, KEY, {"name": "a", "token_subject": "x"}, {"name": "a", "prefix": "A-"})
    assert [each.ae_title for each in document.dicom_senders] == ["CT3"]
    assert len(document.named_senders) == 3
    written = document.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert RoutingDocument.model_validate(written) == document


@pytest.mark.parametrize(
    ("senders", "words"),
    [
        ([KEY | {"prefix": "A-"}], "has one of"),
        ([KEY | {"ae_title": "CT3"}], "not permitted"),
        ([KEY, KEY | {"name": "b"}], "same key"),
        ([{"name": "a", "prefix": "/A"}], "prefix"),
        ([{"name": "a", "prefix": ""}], "prefix"),
        ([{"name": "a"}], "ae_title"),
        ([{"name": "a\nb", "key": "ris"}], "name"),
    ],
)
def test_what_means_nobody_or_two_is_refused(senders: list[dict[str, Any]], words: str):
    with pytest.raises(ValidationError, match=words):
        routing(*senders)
