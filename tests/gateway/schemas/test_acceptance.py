"""Acceptances as they are sent."""

import json
import math

import pytest

from gateway.errors import InvalidAcceptanceError
from gateway.schemas.acceptance import parse_acceptance

VERSION = {
    "name": "chest",
    "version": "2",
    "title": "Chest",
    "contract_sha256": "0" * 64,
    "read": 0,
    "labels": [],
}
PAGE = {
    "schema": "radstream.acceptance/1",
    "made_at": "2026-01-31T08:15:00Z",
    "gateway_version": "0.1.0",
    "studies": 0,
    "data_sha256": "0" * 64,
    "labels_sha256": "0" * 64,
    "versions": [VERSION, VERSION | {"version": "1"}],
}
# Neither number is JSON: no answer that told of them could be written.
ENDLESS = {
    "label": "pneumonia",
    "studies": 0,
    "auc": {"value": math.nan, "low": 0, "high": math.inf},
    "only_first_right": 0,
    "only_second_right": 0,
}


def test_a_page_is_about_its_first_version_and_stays_as_it_was_written():
    text = json.dumps(PAGE, indent=3)
    body = {"page": text, "signature": "AAEC", "accepted_by": "Dr. A"}
    sent = parse_acceptance(json.dumps(body).encode())
    assert (sent.page, sent.signature) == (text, b"\x00\x01\x02")
    assert sent.document().accepted.version == "2"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"page": "{"}, "/page"),
        ({"page": json.dumps(PAGE | {"versions": []})}, "/page"),
        ({"page": json.dumps(PAGE | {"patient": "CANARY"})}, "/page"),
        ({"page": json.dumps(PAGE | {"differences": [ENDLESS]})}, "/page"),
        ({"accepted_by": "a\nb"}, "/accepted_by"),
        ({"signature": "A"}, "/signature"),
        ({"reason": "x"}, "/reason"),
    ],
)
def test_what_is_none_is_told_without_its_content(changes: dict[str, str], pointer: str):
    body = {"page": json.dumps(PAGE), "accepted_by": "Dr. A"} | changes
    with pytest.raises(InvalidAcceptanceError) as caught:
        parse_acceptance(json.dumps(body).encode())
    [fault] = caught.value.faults
    assert fault.pointer == pointer
    assert "CANARY" not in fault.detail
