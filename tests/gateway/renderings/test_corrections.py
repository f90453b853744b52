"""What a destination is told after what it was told before."""

import datetime as dt
import json
from typing import Any

import pytest

from gateway.renderings.corrections import fhir_transactions, oru_messages
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.renderings.oru import control_id
from gateway.results.documents import DeliveryItem, StudyRecord
from gateway.schemas.hl7 import MessageForm
from gateway.schemas.result import DeliveryState, RenderingKind, StudyResult
from tests.support.studies import image, reading, study

FORM, SYSTEMS = MessageForm(), IdentifierSystems()
ANN, BOB = {"patient_id": "P-7"}, {"patient_id": "P-8"}
ONE, TWO = study(image()), study(image(), image(2))
STATE = DeliveryState


def record(*items: DeliveryItem, **changes: Any) -> StudyRecord:
    return StudyRecord.begun("S1").changed(identity=ANN, deliveries=items, **changes)


def got(kind: RenderingKind, *uids: str, **changes: Any) -> DeliveryItem:
    values = {
        "id": "w",
        "destination": "ris",
        "rendering": kind,
        "revision": "r",
        "at": dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
        "state": STATE.ACKNOWLEDGED,
        "objects": uids,
    }
    return DeliveryItem(**values | changes)


def messages(found: StudyRecord, result: StudyResult) -> list[str]:
    made = [*oru_messages(found, result, None, FORM, "ris")]
    assert all(f"|{uid}|" in data.decode() for uid, data in made)
    return [data.decode() for _, data in made]


def told(found: StudyRecord, result: StudyResult) -> list[str]:
    return [uid for uid, _ in oru_messages(found, result, None, FORM, "ris")]


def oru(*uids: str, **changes: Any) -> DeliveryItem:
    return got(RenderingKind.ORU, *uids, **changes)


def test_the_first_message_replaces_none_and_is_the_same_when_it_is_sent_again():
    [first] = messages(record(), ONE)
    assert "Replaces" not in first
    again = oru(control_id(ONE, ANN), state=STATE.SENT)
    assert messages(record(again), ONE) == [first]


def test_a_correction_names_the_last_message_that_the_destination_may_have():
    items = [
        oru("FIRST"),
        oru("LAST", state=STATE.SENT),
        oru("PARKED", state=STATE.PARKED),
        oru("ELSEWHERE", destination="other"),
        got(RenderingKind.FHIR, "urn:uuid:1"),
        oru(control_id(TWO, ANN), state=STATE.SENT),  # the message itself, at an earlier attempt
    ]
    [message] = messages(record(*items), TWO)
    assert "Replaces message LAST." in message


def test_what_was_told_of_a_wrong_patient_is_withdrawn_once_and_first():
    before = oru(control_id(ONE, ANN))
    corrected = record(before, former=(ANN,)).changed(identity=BOB)
    [withdrawal, message] = messages(corrected, TWO)
    assert "PID|1||P-7^" in withdrawal
    assert "|W|" in withdrawal
    assert "|P|||2026" not in withdrawal
    assert "PID|1||P-8^" in message
    assert "|P|||2026" in message
    assert "Replaces" not in message
    sent = told(corrected, TWO)
    half = corrected.changed(deliveries=(before, oru(*sent, state=STATE.SENT)))
    assert messages(half, TWO) == [withdrawal, message]
    done = corrected.changed(deliveries=(before, oru(*sent)))
    [later] = messages(done, study(image(), image(2), image(3)))
    assert f"Replaces message {sent[1]}." in later


@pytest.mark.parametrize("items", [(), (oru("X", destination="other"),)])
def test_nothing_is_withdrawn_from_a_destination_that_was_told_nothing(items: tuple[DeliveryItem]):
    corrected = record(*items, former=(ANN,)).changed(identity=BOB)
    assert len(messages(corrected, ONE)) == 1
    assert len([*fhir_transactions(corrected, ONE, SYSTEMS, Release.R4, "ris")]) == 1


def test_a_patient_of_whom_the_destination_was_told_nothing_is_not_withdrawn():
    late = oru(control_id(ONE, BOB), corrections=(1,))
    corrected = record(late, former=(ANN,)).changed(identity=BOB)
    [message] = messages(corrected, TWO)
    assert "PID|1||P-8^" in message
    fhir = got(RenderingKind.FHIR, "urn:uuid:1", corrections=(1,))
    later = record(fhir, former=(ANN,)).changed(identity=BOB)
    assert transactions(later, TWO) == [("preliminary", "P-8")]


def test_a_patient_who_was_the_right_one_all_along_is_not_withdrawn():
    told_of_bob = oru(control_id(ONE, BOB), corrections=(1,))
    back = record(oru(control_id(ONE, ANN)), told_of_bob, former=(ANN, BOB))
    [withdrawal, message] = messages(back, ONE)
    assert "PID|1||P-8^" in withdrawal
    assert "PID|1||P-7^" in message


def transactions(found: StudyRecord, result: StudyResult) -> list[tuple[str, str]]:
    """Status and patient of each transaction's report."""
    made = fhir_transactions(found, result, SYSTEMS, Release.R4, "ris")
    reports = [json.loads(data)["entry"][0]["resource"] for _, data in made]
    return [(report["status"], report["subject"]["identifier"]["value"]) for report in reports]


def test_a_transaction_of_a_wrong_patient_is_withdrawn_once_and_first():
    fhir = RenderingKind.FHIR
    [(first, _)] = fhir_transactions(record(), ONE, SYSTEMS, Release.R4, "ris")
    before = got(fhir, first)
    corrected = record(before, former=(ANN,)).changed(identity=BOB)
    assert transactions(corrected, TWO) == [*(("entered-in-error", "P-7"), ("preliminary", "P-8"))]
    sent = [uid for uid, _ in fhir_transactions(corrected, TWO, SYSTEMS, Release.R4, "ris")]
    half = corrected.changed(deliveries=(before, got(fhir, *sent, state=STATE.SENT)))
    assert len(transactions(half, TWO)) == 2
    done = corrected.changed(deliveries=(before, got(fhir, *sent, corrections=(1,))))
    assert transactions(done, study(image(1, reading(0.1)))) == [("preliminary", "P-8")]
    back = done.changed(former=(ANN, BOB), identity=ANN)
    assert transactions(back, TWO) == [*(("entered-in-error", "P-8"), ("preliminary", "P-7"))]
