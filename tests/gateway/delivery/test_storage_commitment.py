"""Storage commitment of archives: reports on the same association, on another one, and none."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, generate_uid

from gateway.delivery.dicom_store import DicomTransport
from gateway.delivery.storage_commitment import Commitments, ReceivedReport
from gateway.errors import DeliveryUnansweredError
from gateway.results.asked_commitments import AskedCommitments
from gateway.runtime.deadline import Deadline
from gateway.schemas.routing_destinations import DicomDestination
from gateway.settings import CompletionSettings, DimseSettings, RoutingSettings, Settings
from gateway.storage.layout import ASKED
from gateway.triton.embedded import EmbeddedTriton
from gateway.work.keys import WorkId
from tests.support.committing_archives import (
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    SUCCESS,
    committing,
    information,
    report_to,
)
from tests.support.delivery import all_in, deliveries, dicom, stow
from tests.support.delivery_archives import TITLE, archive, rendering
from tests.support.dicom import radiograph
from tests.support.dimse import dimse_settings, free_port, running_listener
from tests.support.gateway import brisk, until
from tests.support.orthanc import running_orthanc
from tests.support.store import MemoryStore

INVALID_ARGUMENT = 0x0115


@contextmanager
def to(
    port: int, commitments: Commitments | None = None, wait_s: float = 60.0
) -> Iterator[DicomTransport]:
    """The way to the archive."""
    named = {"name": "pacs", "kind": "dicom", "ae_title": TITLE, "host": "127.0.0.1", "port": port}
    destination = named | {"storage_commitment": {"wait_s": wait_s}}
    transport = DicomTransport(
        DicomDestination.model_validate(destination),
        DimseSettings(),
        at_once=1,
        commitments=commitments,
    )
    try:
        yield transport
    finally:
        transport.close()


def soon() -> Deadline:
    return Deadline.after(90.0)


async def test_what_is_committed_is_held():
    sent = rendering()
    with committing() as pacs, to(pacs.port) as transport:
        await transport.send(sent, soon())
        assert await transport.is_held(sent, soon()) is True
        await until(lambda: bool(pacs.answers))
    [asked] = pacs.asked
    [item] = asked.ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == sent.uid
    assert item.ReferencedSOPClassUID == DigitalXRayImageStorageForPresentation
    assert pacs.answers == [SUCCESS]


async def test_a_report_may_come_by_the_listener():
    sent, reports = rendering(), Commitments()
    with committing(is_silent=True) as pacs, to(pacs.port, reports) as transport:
        asking = asyncio.create_task(transport.is_held(sent, soon()))
        await until(lambda: bool(pacs.asked))
        transaction = str(pacs.asked[0].TransactionUID)
        other = ReceivedReport(generate_uid(), frozenset(), {sent.uid: NO_SUCH_INSTANCE})
        assert not reports.take(other)
        report = ReceivedReport(transaction, frozenset([sent.uid]), {})
        assert reports.take(report)
        assert await asking is True
        assert not reports.take(report)


async def test_an_archive_that_has_no_such_object_does_not_hold_it():
    with committing() as pacs, to(pacs.port) as transport:
        assert await transport.is_held(rendering(), soon()) is False


@pytest.mark.parametrize(
    ("changes", "told", "is_declined"),
    [
        ({"failure": PROCESSING_FAILURE}, "reason 0110", False),
        ({"status": PROCESSING_FAILURE}, "status 0110", True),
        ({"is_offered": False}, "takes no requests", True),
        ({"changes": {"ReferencedSOPSequence": []}}, "does not name", False),
    ],
)
async def test_all_else_tells_nothing_of_the_object(
    changes: dict[str, Any], told: str, *, is_declined: bool
):
    sent = rendering()
    with committing(**changes) as pacs, to(pacs.port) as transport:
        await transport.send(sent, soon())
        with pytest.raises(DeliveryUnansweredError, match=told) as caught:
            await transport.is_held(sent, soon())
        assert caught.value.is_unasked is is_declined
        assert caught.value.is_declined is is_declined


async def test_an_archive_that_rejects_associations_declines_to_be_asked():
    rejected = pytest.raises(DeliveryUnansweredError, match="it rejected")
    with archive(callers=["X"]) as pacs, to(pacs.port) as transport, rejected as caught:
        await transport.is_held(rendering(), soon())
    assert caught.value.is_unasked
    assert caught.value.is_declined


async def test_an_archive_that_hangs_up_could_not_be_asked_and_declines_nothing():
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    away = pytest.raises(DeliveryUnansweredError, match="no association")
    with to(server.sockets[0].getsockname()[1]) as transport, away as caught:
        await transport.is_held(rendering(), soon())
    assert caught.value.is_unasked
    assert not caught.value.is_declined
    server.close()


async def test_an_archive_that_answers_no_request_declines_to_be_asked():
    with committing(is_mute=True) as pacs, to(pacs.port) as transport:
        with pytest.raises(DeliveryUnansweredError, match="did not answer") as caught:
            await transport.is_held(rendering(), Deadline.after(4.0))
        assert len(pacs.asked) == 1
    assert caught.value.is_sent
    assert caught.value.is_unasked
    assert caught.value.is_declined


async def test_an_archive_that_is_slow_to_release_was_asked():
    """Though its time-out cuts the wait short."""
    with committing(is_silent=True, release_s=0.9) as pacs, to(pacs.port) as transport:
        with pytest.raises(DeliveryUnansweredError, match="no report") as caught:
            await transport.is_held(rendering(), Deadline.after(4.0))
        assert len(pacs.asked) == 1
    assert not caught.value.is_unasked


async def test_an_archive_that_hangs_could_not_be_asked():
    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    with to(server.sockets[0].getsockname()[1]) as transport:
        with pytest.raises(DeliveryUnansweredError, match="in time") as caught:
            await transport.is_held(rendering(), Deadline.after(1.5))
        assert caught.value.is_unasked
        assert not caught.value.is_declined
    server.close()


async def test_a_report_on_a_request_that_came_to_no_answer_counts_at_the_next_one():
    asked = AskedCommitments(objects := MemoryStore())
    sent = replace(rendering(), work=WorkId("S1", "20260131T120000000000Z-00"))
    requests: list[str] = []

    async def silence(transaction_uid: str) -> ReceivedReport | None:
        requests.append(transaction_uid)
        raise DeliveryUnansweredError("silence", is_sent=True)

    commitments = Commitments(asked=asked)
    for _ in range(2):
        with pytest.raises(DeliveryUnansweredError):
            await commitments.ask("pacs", sent, silence)
    assert not await asked.keep(requests[0], [sent.uid], {})
    assert await asked.keep(requests[1], [sent.uid], {})
    received = await commitments.ask("pacs", sent, silence)
    assert received == ReceivedReport(requests[1], frozenset([sent.uid]), {})
    assert len(requests) == 2
    await commitments.supersede("pacs", sent)
    assert await objects.keys(ASKED) == []


@pytest.mark.parametrize("changes", [{"is_silent": True}, {"changes": {"TransactionUID": "1.2"}}])
async def test_no_report_in_time_tells_nothing(changes: dict[str, Any]):
    late = pytest.raises(DeliveryUnansweredError, match="no report")
    with committing(**changes) as pacs, to(pacs.port, wait_s=0.2) as transport, late:
        await transport.is_held(rendering(), soon())


async def test_the_end_of_the_gateway_ends_the_wait():
    with committing(is_silent=True) as pacs, to(pacs.port) as transport:
        asking = asyncio.create_task(transport.is_held(rendering(), soon()))
        await until(lambda: bool(pacs.asked))
        transport.close()
        with pytest.raises(DeliveryUnansweredError):
            await asking


def archiving(folder: Path, triton_url: str, port: int, **destination: Any) -> Settings:
    """Settings of a gateway that brings studies to an archive, which reports to its listener."""
    title = destination.get("ae_title", TITLE)
    sender = {"name": "pacs", "ae_title": title, "addresses": ["127.0.0.1"]}
    where = dicom("archive", port, storage_commitment={}) | destination
    document = {"schema": "radstream.routing/1", "senders": [sender], "destinations": [where]}
    path = folder / "routing.json"
    path.write_text(json.dumps(document))
    return brisk(
        dimse_settings(folder, triton_url),
        routing=RoutingSettings(file=path),
        completion=CompletionSettings(quiet_s=1),
    )


@pytest.mark.server
async def test_a_report_counts_after_the_gateway_that_asked_has_ended(
    triton: EmbeddedTriton, tmp_path: Path
):
    study = generate_uid()
    with committing(is_silent=True) as pacs:
        changes = {"storage_commitment": {"wait_s": 0.1}}
        settings = archiving(tmp_path, triton.grpc_url, pacs.port, **changes)
        async with running_listener(settings) as listener:
            client = listener.gateway.client
            await until(listener.gateway.is_ready)
            await stow(client, radiograph(StudyInstanceUID=study))
            await until(lambda: all_in(client, study, "acknowledged"))
            [item] = await deliveries(client, study)
            assert "no report" in item["warning"]
        asked = pacs.asked[-1]
        report, stranger = information(asked), information(asked, TransactionUID=generate_uid())
        settings = archiving(tmp_path, triton.grpc_url, pacs.port, **changes)
        async with running_listener(settings) as listener:
            client = listener.gateway.client

            async def answer(report: Dataset) -> int:
                return int((await asyncio.to_thread(report_to, listener.port, report)).Status)

            assert await answer(stranger) == INVALID_ARGUMENT
            assert await all_in(client, study, "acknowledged")
            assert await answer(report) == SUCCESS
            await until(lambda: all_in(client, study, "confirmed"))
            [item] = await deliveries(client, study)
            assert item.get("warning") is None
            await until(lambda: none_is_kept(tmp_path))
            assert await answer(report) == INVALID_ARGUMENT


async def none_is_kept(folder: Path) -> bool:
    return not [path for path in (folder / "store" / ASKED).rglob("*") if path.is_file()]


@pytest.mark.server
@pytest.mark.parametrize("reports_to_another", [False, True])
async def test_orthanc_commits_what_it_was_brought(
    triton: EmbeddedTriton, tmp_path: Path, *, reports_to_another: bool
):
    """On an association of its own, to the gateway that asked or to another on the store."""
    port, folder, study = free_port(), tmp_path / "orthanc", generate_uid()
    folder.mkdir()
    both = ["structured-report", "secondary-capture"]
    where = {"ae_title": "ORTHANC", "renderings": both, "storage_commitment": {"wait_s": 10}}
    asks = archiving(tmp_path, triton.grpc_url, port, **where)
    takes = archiving(tmp_path, triton.grpc_url, port, **where)
    reported = takes if reports_to_another else asks
    async with (
        running_listener(asks) as listener,
        running_orthanc(folder, dimse_port=reported.dimse.port, own_dimse_port=port) as orthanc,
    ):
        client = listener.gateway.client
        await until(listener.gateway.is_ready)
        await stow(client, radiograph(StudyInstanceUID=study))
        async with running_listener(takes) if reports_to_another else nullcontext():
            await until(lambda: all_in(client, study, "confirmed", "acknowledged"))
        await until(lambda: all_in(client, study, "confirmed"))
        found = await deliveries(client, study)
        held = (await orthanc.client.get("/statistics")).json()["CountInstances"]
    assert {(item["state"], item.get("warning")) for item in found} == {("confirmed", None)}
    assert held == sum(len(item["objects"]) for item in found)
