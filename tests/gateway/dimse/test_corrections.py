"""A sender with the right to corrects the patient or the order of a study; others do not."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from gateway.access.callers import Scope
from gateway.settings import AccessSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import add_key
from tests.support.dicom import file_of, radiograph
from tests.support.dimse import LiveListener, associated, dimse_settings, running_listener, store
from tests.support.gateway import audit_trail, until

pytestmark = pytest.mark.server

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SUCCESS, CONFLICT = 0x0000, 0xC001
WARD: dict[str, Any] = {"name": "ward", "ae_title": "WARD", "addresses": ["127.0.0.1"]}
PACS: dict[str, Any] = WARD | {"name": "pacs", "ae_title": "PACS", "corrects_identity": True}


async def send(listener: LiveListener, calling: str, dataset: Dataset) -> int:
    """Return the status of the answer to an instance of a sender."""

    def send() -> int:
        contexts = ((DX, ExplicitVRLittleEndian),)
        with associated(listener.port, *contexts, calling=calling) as association:
            return int(store(association, dataset).Status)

    return await asyncio.to_thread(send)


def identity(folder: Path, study_id: str) -> dict[str, str]:
    """Return who a study is about, as its document says."""
    document = json.loads((folder / "store" / "results" / study_id / "result.json").read_bytes())
    found: dict[str, str] = document["record"]["identity"]
    return found


def corrections(listener: LiveListener) -> list[tuple[str, list[str]]]:
    """Return the callers and studies of all corrections on record."""
    return [
        (record["agent"]["name"], record["studies"])
        for record in audit_trail(listener.gateway.settings)
        if record.get("identity_corrected")
    ]


async def test_a_merged_patient_is_an_audited_update(triton: EmbeddedTriton, tmp_path: Path):
    study = generate_uid()
    settings = dimse_settings(tmp_path, triton.grpc_url, senders=[WARD, PACS])
    async with running_listener(settings) as listener:

        def of(patient: str) -> Dataset:
            return radiograph(StudyInstanceUID=study, PatientID=patient, AccessionNumber="A1")

        await until(listener.gateway.is_ready)
        assert await send(listener, "WARD", of("P1")) == SUCCESS
        assert await send(listener, "WARD", of("P2")) == CONFLICT
        assert await send(listener, "PACS", of("P2")) == SUCCESS
        assert await send(listener, "WARD", of("P1")) == SUCCESS  # it was under way
        assert await send(listener, "WARD", of("P3")) == CONFLICT

        async def are_processed() -> bool:
            result = (await listener.gateway.client.get(f"/v1/studies/{study}")).json()
            assert not result.get("failures")
            return len(result["images"]) == 3 and not result.get("pending")

        await until(are_processed)
        assert identity(tmp_path, study) == {"patient_id": "P2", "accession_number": "A1"}
        assert corrections(listener) == [("pacs", [study])]


async def test_what_waited_under_the_former_identity_is_processed(
    triton: EmbeddedTriton, tmp_path: Path
):
    """Sent and corrected while there is no Triton, processed by the next gateway."""
    study = generate_uid()
    settings = dimse_settings(tmp_path, senders=[WARD, PACS])
    async with running_listener(settings) as listener:
        for calling, patient in (("WARD", "P1"), ("PACS", "P2")):
            dataset = radiograph(StudyInstanceUID=study, PatientID=patient)
            assert await send(listener, calling, dataset) == SUCCESS
    settings = dimse_settings(tmp_path, triton.grpc_url, senders=[WARD, PACS])
    async with running_listener(settings) as listener:

        async def are_processed() -> bool:
            result = (await listener.gateway.client.get(f"/v1/studies/{study}")).json()
            return len(result["images"]) == 2 and not result.get("pending")

        await until(are_processed)
    assert identity(tmp_path, study) == {"patient_id": "P2"}


async def test_a_key_may_correct_over_http(triton: EmbeddedTriton, tmp_path: Path):
    """With the image that is stored, and with STOW-RS."""
    keys, study = tmp_path / "keys.json", generate_uid()
    plain, _ = add_key(keys, "ris", Scope.STUDIES_WRITE)
    correcting, _ = add_key(keys, "mpi", Scope.STUDIES_WRITE, Scope.STUDIES_CORRECT)
    update = {"access": AccessSettings(key_file=keys)}
    settings = dimse_settings(tmp_path, triton.grpc_url).model_copy(update=update)
    image = radiograph(StudyInstanceUID=study)
    async with running_listener(settings) as listener:
        client = listener.gateway.client

        async def post(key: str, order: str) -> int:
            document = {"study_id": study, "accession_number": order, "view": "AP"}
            answer = await client.post(
                "/v1/studies",
                files={
                    "image": ("a.dcm", file_of(image)),
                    "metadata": (None, json.dumps(document)),
                },
                headers={"X-API-Key": key},
            )
            return answer.status_code

        async def stow(key: str, order: str) -> int:
            answer = await client.post(
                "/dicomweb/studies",
                content=file_of(radiograph(StudyInstanceUID=study, AccessionNumber=order)),
                headers={"X-API-Key": key, "Content-Type": "application/dicom"},
            )
            return answer.status_code

        await until(listener.gateway.is_ready)
        assert await post(plain, "A1") == 200
        assert await post(plain, "A2") == 409
        assert await post(correcting, "A2") == 200
        assert identity(tmp_path, study) == {"accession_number": "A2"}
        assert await stow(plain, "A3") == 409
        assert await stow(correcting, "A3") == 200
        assert identity(tmp_path, study) == {"accession_number": "A3"}
        assert corrections(listener) == [("mpi", [study])] * 2
