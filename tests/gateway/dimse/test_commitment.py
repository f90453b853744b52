"""Storage commitment: what is committed, and to whom it is offered."""

import asyncio
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from gateway.dimse.commitment_messages import PUSH_MODEL
from gateway.storage.layout import INSTANCES
from gateway.triton.embedded import EmbeddedTriton
from tests.support.commitment import (
    DX,
    NO_SUCH_INSTANCE,
    SUCCESS,
    ask,
    committed,
    reasons,
    request,
    sender,
)
from tests.support.dicom import radiograph
from tests.support.dimse import dimse_settings, running_listener, store
from tests.support.gateway import until

pytestmark = pytest.mark.server

WARD = {"name": "ward", "ae_title": "SCU", "addresses": ["127.0.0.1"]}


async def test_what_was_processed_is_committed_until_its_study_is_deleted(
    triton: EmbeddedTriton, tmp_path: Path
):
    dataset = radiograph()
    study = f"/v1/studies/{dataset.StudyInstanceUID}"
    async with running_listener(dimse_settings(tmp_path, triton.grpc_url)) as listener:
        await until(listener.gateway.is_ready)

        async def is_processed() -> bool:
            result = (await listener.gateway.client.get(study)).json()
            return len(result["images"]) == 1 and not result.get("pending")

        def send() -> None:
            with sender(listener.port) as (association, _):
                assert store(association, dataset).Status == SUCCESS

        def commit() -> Dataset:
            with sender(listener.port) as (association, report):
                assert ask(association, request([(DX, dataset.SOPInstanceUID)])) == SUCCESS
                return report()[1]

        await asyncio.to_thread(send)
        await until(is_processed)
        assert committed(await asyncio.to_thread(commit)) == [dataset.SOPInstanceUID]
        assert (await listener.gateway.client.delete(study)).is_success
        report = await asyncio.to_thread(commit)
        assert reasons(report) == {dataset.SOPInstanceUID: NO_SUCH_INSTANCE}
    assert not [
        path for path in (tmp_path / "store").rglob("*") if dataset.SOPInstanceUID in path.name
    ]


async def test_a_sender_without_it_is_offered_none(tmp_path: Path):
    dataset = radiograph()
    async with running_listener(dimse_settings(tmp_path, senders=[WARD])) as listener:

        def send() -> list[str]:
            with sender(listener.port) as (association, _):
                assert store(association, dataset).Status == SUCCESS
                return [str(context.abstract_syntax) for context in association.rejected_contexts]

        assert await asyncio.to_thread(send) == [PUSH_MODEL]
    assert not list((tmp_path / "store").rglob(f"{INSTANCES}*"))
