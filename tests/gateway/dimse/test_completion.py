"""Studies that are sent over DICOM are complete after a quiet time, or by their count."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from gateway.settings import CompletionSettings, Settings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import radiograph
from tests.support.dimse import LiveListener, associated, dimse_settings, running_listener, store
from tests.support.gateway import until

pytestmark = pytest.mark.server

DX = "1.2.840.10008.5.1.4.1.1.1.1"


def settings(folder: Path, triton_url: str, quiet_s: float) -> Settings:
    update = {"completion": CompletionSettings(quiet_s=quiet_s)}
    return dimse_settings(folder, triton_url).model_copy(update=update)


async def send(listener: LiveListener, dataset: Dataset) -> None:
    """Store an instance."""

    def send() -> None:
        with associated(listener.port, (DX, ExplicitVRLittleEndian)) as association:
            assert store(association, dataset).Status == 0x0000

    await asyncio.to_thread(send)


async def completion(listener: LiveListener, study: str) -> dict[str, Any]:
    """Return the completion of a study, once it is complete."""
    found: dict[str, Any] = {}

    async def is_complete() -> bool:
        result = (await listener.gateway.client.get(f"/v1/studies/{study}")).json()
        found.update(result["completion"])
        return "completed_at" in result["completion"]

    # What one gateway could not process is due again after a quarter of a minute.
    await until(is_complete, timeout_s=90)
    return found


async def test_a_study_is_complete_after_a_quiet_time_and_opened_again_by_a_late_image(
    triton: EmbeddedTriton, tmp_path: Path
):
    study = generate_uid()
    async with running_listener(settings(tmp_path, triton.grpc_url, 1)) as listener:
        await until(listener.gateway.is_ready)
        await send(listener, radiograph(StudyInstanceUID=study))
        first = await completion(listener, study)
        assert first["reopened"] == 0
        late = radiograph(StudyInstanceUID=study)
        await send(listener, late)
        second = await completion(listener, study)
        assert second["reopened"] == 1
        assert second["completed_at"] > second["last_instance_at"] > first["completed_at"]
        name = "radstream_studies_complete_total"
        await listener.gateway.comes_to(2, name, by="quiet")
        replayed = await listener.gateway.metric(
            "radstream_studies_total", outcome="replayed", route="dimse"
        )
        await send(listener, late)  # the same bytes: nothing is new
        await listener.gateway.comes_to(
            replayed + 1, "radstream_studies_total", outcome="replayed", route="dimse"
        )
        assert await completion(listener, study) == second


async def test_a_study_is_complete_with_the_last_of_as_many_as_its_sender_says(
    triton: EmbeddedTriton, tmp_path: Path
):
    study = generate_uid()
    sent = [radiograph(StudyInstanceUID=study, NumberOfStudyRelatedInstances="2") for _ in range(2)]
    async with running_listener(settings(tmp_path, triton.grpc_url, 3600)) as listener:
        await until(listener.gateway.is_ready)
        for dataset in sent:
            await send(listener, dataset)
        assert (await completion(listener, study))["expected_instances"] == 2
        name = "radstream_studies_complete_total"
        await listener.gateway.comes_to(1, name, by="count")


async def test_the_next_gateway_completes_what_one_left(triton: EmbeddedTriton, tmp_path: Path):
    """The first has no Triton: nothing is processed, and no study is complete."""
    study = generate_uid()
    async with running_listener(settings(tmp_path, "127.0.0.1:1", 1)) as listener:
        await send(listener, radiograph(StudyInstanceUID=study))
    async with running_listener(settings(tmp_path, triton.grpc_url, 1)) as listener:
        assert (await completion(listener, study))["reopened"] == 0
