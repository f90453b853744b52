"""A study of a wrong patient, from C-STORE to a FHIR server and a receiver of HL7 v2."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hl7
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from gateway.settings import CompletionSettings, RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.delivery.test_mllp import hl7_receiver
from tests.support.dicom import radiograph
from tests.support.dimse import LiveListener, associated, dimse_settings, running_listener, store
from tests.support.fhir_server import FhirServer, running_fhir_server
from tests.support.gateway import brisk, until
from tests.support.receiver import Receiver, receiving

pytestmark = pytest.mark.server

PACS = {"name": "pacs", "ae_title": "PACS", "addresses": ["127.0.0.1"], "corrects_identity": True}


async def send(listener: LiveListener, dataset: Dataset) -> None:
    def send() -> int:
        contexts = ((DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian),)
        with associated(listener.port, *contexts, calling="PACS") as association:
            return int(store(association, dataset).Status)

    assert await asyncio.to_thread(send) == 0


async def are_brought(
    listener: LiveListener, study_id: str, confirmed: int, acknowledged: int | None = None
) -> None:
    """Return once so many items of the study are in each state, as many in both unless given."""

    async def are_brought() -> bool:
        view = (await listener.gateway.client.get(f"/v1/studies/{study_id}")).json()
        states = sorted(item["state"] for item in view.get("deliveries", ()))
        assert "parked" not in states, view["deliveries"]
        taken = confirmed if acknowledged is None else acknowledged
        return states == ["acknowledged"] * taken + ["confirmed"] * confirmed

    await until(are_brought)


@asynccontextmanager
async def running(
    triton: EmbeddedTriton, folder: Path, received: list[hl7.Message], *others: dict[str, Any]
) -> AsyncIterator[tuple[LiveListener, FhirServer]]:
    """A gateway that brings results to a FHIR server, a receiver of HL7 v2, and others."""
    routing = folder / "routing.json"
    settings = brisk(
        dimse_settings(folder, triton.grpc_url),
        routing=RoutingSettings(file=routing),
        completion=CompletionSettings(quiet_s=1),
    )
    async with running_fhir_server() as record, hl7_receiver("AA", received) as port:
        document: dict[str, Any] = {
            "schema": "radstream.routing/1",
            "senders": [PACS],
            "destinations": [
                {"name": "record", "kind": "fhir", "url": record.url},
                {"name": "ris", "kind": "hl7", "host": "127.0.0.1", "port": port},
                *others,
            ],
        }
        routing.write_text(json.dumps(document))
        async with running_listener(settings) as listener:
            await until(listener.gateway.is_ready)
            yield listener, record


async def test_what_was_brought_of_a_deleted_study_is_withdrawn(
    triton: EmbeddedTriton, tmp_path: Path
):
    received: list[hl7.Message] = []
    study = generate_uid()
    secret = tmp_path / "secret"
    secret.write_text("s" * 32)
    async with (
        receiving(tmp_path) as orders,
        running(triton, tmp_path, received, webhook(orders, secret)) as (listener, record),
    ):
        await send(listener, radiograph(StudyInstanceUID=study, PatientID="P-7"))
        await are_brought(listener, study, 1, acknowledged=2)
        answer = await listener.gateway.client.delete(f"/v1/studies/{study}")
        assert answer.status_code == 204

        async def are_withdrawn() -> bool:
            reports = record.held("DiagnosticReport")
            is_told = [report["status"] for report in reports] == ["entered-in-error"]
            return is_told and len(received) == len(orders.came) == 2

        await until(are_withdrawn)
    assert [said(message) for message in received] == [("P-7", {"P"}), ("P-7", {"D"})]
    notices = [json.loads(body) for _, _, body in orders.came]
    assert [notice["status"] for notice in notices] == ["completed", "deleted"]
    assert {notice["study_id"] for notice in notices} == {study}
    assert "P-7" not in str(orders.came)


def webhook(receiver: Receiver, secret: Path) -> dict[str, Any]:
    """A receiver of notices, as a destination."""
    return {
        "name": "orders",
        "kind": "webhook",
        "url": receiver.url,
        "secret_file": str(secret),
        "tls": {"authorities": str(receiver.ca_file)},
    }


def said(message: hl7.Message) -> tuple[str, set[str]]:
    """The patient of a message, and the status of its findings."""
    observations = [segment for segment in message if str(segment[0]) == "OBX"]
    return str(message["PID"][0][3][0][0]), {str(each(11)) for each in observations} - {"O"}


async def test_the_wrong_patients_record_is_cleared_and_the_right_ones_is_filled(
    triton: EmbeddedTriton, tmp_path: Path
):
    received: list[hl7.Message] = []
    study = generate_uid()
    async with running(triton, tmp_path, received) as (listener, record):
        for times, patient in enumerate(("P-7", "P-8"), 1):
            named = {"PatientID": patient, "PatientName": patient, "AccessionNumber": "A1"}
            await send(listener, radiograph(StudyInstanceUID=study, **named))
            await are_brought(listener, study, times)
    assert [said(message) for message in received] == [
        *(("P-7", {"P"}), ("P-7", {"W"}), ("P-8", {"P"}))
    ]
    found = {
        report["subject"]["identifier"]["value"]: report["status"]
        for report in record.held("DiagnosticReport")
    }
    assert found == {"P-7": "entered-in-error", "P-8": "preliminary"}
    assert len(record.versions["DiagnosticReport/1"]) == 2
