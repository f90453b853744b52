"""What is wrong with a message or a transaction is seen before it is sent."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.delivery.message_conformance import message_faults, transaction_faults
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.renderings.fhir_transaction import fhir_transaction, report_identifiers
from gateway.renderings.oru import control_id, oru_message
from gateway.renderings.words import Withdrawal
from gateway.schemas.hl7 import Charset, MessageForm
from tests.support.studies import IDENTITY, image, study

STUDY = study(image(), image(2))
MESSAGE = oru_message(STUDY, IDENTITY, None, MessageForm())
CONTROL = control_id(STUDY, IDENTITY)


@pytest.mark.parametrize("charset", Charset)
@pytest.mark.parametrize("withdrawal", [None, *Withdrawal])
def test_a_message_as_it_is_made_has_no_fault(charset: Charset, withdrawal: Withdrawal | None):
    named = IDENTITY | {"patient_id": "a\rb\x1cc|ü"}
    form = MessageForm(charset=charset)
    made = oru_message(STUDY, named, None, form, withdrawal=withdrawal)
    assert [*message_faults(made, control_id(STUDY, named, withdrawal))] == []


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "it is no message"),
        (MESSAGE[:-1], "it is no message"),
        (MESSAGE.replace(b"\rOBR|", b"\r\x1c\rOBR|"), "a segment is broken"),
        (MESSAGE.replace(b"\rOBR|", b"\rAnn|"), "a segment is broken"),
        (MESSAGE.replace(CONTROL.encode(), b"OTHER"), "MSH-10 is not that of the rendering"),
        (MESSAGE.replace(b"|RAD|P\r", b"|RAD|F\r"), "OBR-25 is not preliminary"),
        (MESSAGE.replace(b"\rOBR|", b"\rZBR|"), "OBR-25 is not preliminary"),
        (MESSAGE.replace(b"|||P|||", b"|||F|||"), "OBX-11 is not preliminary"),
        (MESSAGE.replace(b"Not reviewed", b"Reviewed"),
         "it does not say that nobody has reviewed it"),
    ],
)  # fmt: skip
def test_a_fault_of_a_message_is_told(data: bytes, fault: str):
    assert [*message_faults(data, CONTROL)] == [fault]


def transaction() -> dict[str, Any]:
    return fhir_transaction(STUDY, IDENTITY, IdentifierSystems(), Release.R4)


TOLD = report_identifiers(transaction())[1]


@pytest.mark.parametrize("withdrawn", [False, True])
@pytest.mark.parametrize("release", Release)
def test_a_transaction_as_it_is_made_has_no_fault(release: Release, withdrawn: bool):
    made = fhir_transaction(STUDY, IDENTITY, IdentifierSystems(), release, withdrawn=withdrawn)
    told = report_identifiers(made)[1]
    assert [*transaction_faults(json.dumps(made).encode(), told)] == []


def entry(position: int, **news: Any) -> Callable[[dict[str, Any]], None]:
    def change(bundle: dict[str, Any]) -> None:
        bundle["entry"][position]["resource"] |= news

    return change


def twice(bundle: dict[str, Any]) -> None:
    bundle["entry"][1]["request"] = bundle["entry"][2]["request"]


def unconditional(bundle: dict[str, Any]) -> None:
    bundle["entry"][1]["request"].pop("ifNoneExist")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (entry(0, status="final"), "DiagnosticReport.status is not preliminary"),
        (entry(2, status="final"), "Observation.status is not preliminary"),
        (entry(0, result=[{"reference": "urn:uuid:gone"}]), "a reference leads nowhere"),
        (entry(0, conclusion="Pneumonia."), "it does not say that nobody has reviewed it"),
        (entry(0, identifier=[{"value": "a"}, {"value": "b"}]),
         "its report is not that of the rendering"),
        (entry(0, identifier=[{"value": "a"}]), "it is no transaction of results"),
        (twice, "a resource has no condition of its own"),
        (unconditional, "a resource has no condition of its own"),
    ],
)  # fmt: skip
def test_a_fault_of_a_transaction_is_told(change: Callable[[dict[str, Any]], None], fault: str):
    bundle = transaction()
    change(bundle)
    assert [*transaction_faults(json.dumps(bundle).encode(), TOLD)] == [fault]


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"entry": []}', b'{"entry": [1]}', b'{"entry": [{"resource": 1}]}'],
)
def test_what_is_no_transaction_is_told(data: bytes):
    assert [*transaction_faults(data, TOLD)] == ["it is no transaction of results"]
