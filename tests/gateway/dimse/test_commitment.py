"""Storage commitment: what is committed, and to whom it is offered."""

import asyncio
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import build_role
from pynetdicom.ae import ApplicationEntity

from gateway.dimse.commitment_messages import PUSH_MODEL, PUSH_MODEL_INSTANCE
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
from tests.support.dimse import TITLE, dimse_settings, running_listener, store
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


@pytest.mark.parametrize(
    ("information", "status"), [(request([(DX, "1.2.3")]), 0x0115), (None, 0x0114)]
)
async def test_an_archive_may_report_though_it_may_not_ask_and_only_on_what_it_was_asked(
    tmp_path: Path, information: Dataset | None, status: int
):
    def report(port: int) -> int:
        entity = ApplicationEntity("SCU")
        entity.add_requested_context(PUSH_MODEL)
        role = build_role(PUSH_MODEL, scp_role=True)
        association = entity.associate("127.0.0.1", port, ae_title=TITLE, ext_neg=[role])
        try:
            answer, _ = association.send_n_event_report(
                information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE
            )
            return int(answer.Status)
        finally:
            association.release()

    async with running_listener(dimse_settings(tmp_path, senders=[WARD])) as listener:
        assert await asyncio.to_thread(report, listener.port) == status
