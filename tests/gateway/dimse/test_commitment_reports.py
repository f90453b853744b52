"""Reports on storage commitment that come on an association of their own, whatever dies before."""

import asyncio
import os
import queue
import signal
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity

from gateway.dimse.commitment_messages import PUSH_MODEL, PUSH_MODEL_INSTANCE
from gateway.storage.layout import COMMITMENTS
from tests.support.dicom import file_of, radiograph
from tests.support.dimse import (
    TITLE,
    LiveListener,
    dimse_settings,
    free_port,
    running_listener,
    store,
    write_senders,
)
from tests.support.gateway import ROOT, running_command, until
from tests.support.orthanc import running_orthanc

pytestmark = pytest.mark.server

DX = "1.2.840.10008.5.1.4.1.1.1.1"
SUCCESS = 0x0000
SAMPLES = sorted((ROOT / "tests/data/images").glob("*.dcm"))

Reported = tuple[int, Dataset]


def ward(port: int, **commitment: Any) -> dict[str, Any]:
    """A sender whose reports go to a port of loopback."""
    return {
        "name": "ward",
        "ae_title": "SCU",
        "addresses": ["127.0.0.1"],
        "storage_commitment": {"port": port} | commitment,
    }


@contextmanager
def taking_reports(
    port: int, context: ssl.SSLContext | None = None
) -> Iterator["queue.Queue[Reported]"]:
    """A sender's listener, which takes reports."""
    reports: queue.Queue[Reported] = queue.Queue()

    def take(event: evt.Event) -> tuple[int, None]:
        reports.put((int(event.event_type), event.event_information))
        return SUCCESS, None

    entity = ApplicationEntity("SCU")
    entity.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", port),
        block=False,
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)],
        ssl_context=context,
    )
    assert server is not None
    try:
        yield reports
    finally:
        server.shutdown()


def store_and_ask(port: int, dataset: Dataset, *, then_kill: int | None = None) -> str:
    """Store an instance and ask for its commitment; return the Transaction UID."""
    entity = ApplicationEntity("SCU")
    entity.add_requested_context(DX, ExplicitVRLittleEndian)
    entity.add_requested_context(PUSH_MODEL)
    association = entity.associate("127.0.0.1", port, ae_title=TITLE)
    assert store(association, dataset).Status == SUCCESS
    item, information = Dataset(), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = DX, dataset.SOPInstanceUID
    information.TransactionUID = generate_uid()
    information.ReferencedSOPSequence = [item]
    status, _ = association.send_n_action(information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    if then_kill is not None:
        os.kill(then_kill, signal.SIGKILL)
    assert status.Status == SUCCESS
    association.abort() if then_kill else association.release()
    return str(information.TransactionUID)


async def owed(folder: Path) -> list[Path]:
    """Reports that are owed, on a store of files."""
    return list((folder / "store" / COMMITMENTS).rglob("*.*"))


async def test_orthanc_is_told_that_all_is_committed(tmp_path: Path):
    port = free_port()
    pacs = ward(port) | {"name": "pacs", "ae_title": "ORTHANC"}
    (tmp_path / "orthanc").mkdir()
    async with (
        running_listener(dimse_settings(tmp_path, senders=[pacs])) as listener,
        running_orthanc(
            tmp_path / "orthanc", dimse_port=listener.port, own_dimse_port=port
        ) as orthanc,
    ):
        kept = [await orthanc.keep(sample.read_bytes()) for sample in SAMPLES]
        assert (await orthanc.send(*kept))["State"] == "Success"
        report = await orthanc.ask_for_commitment(*kept)
        assert (report["Status"], len(report["Success"])) == ("Success", len(SAMPLES))
        missing = await orthanc.keep(file_of(radiograph()))
        report = await orthanc.ask_for_commitment(kept[0], missing)
        assert report["Status"] == "Failure"
        assert [item["FailureReason"] for item in report["Failures"]] == [0x0112]
        await until(lambda: has_reported(listener, 2))
        assert await owed(tmp_path) == []


async def has_reported(listener: LiveListener, count: int) -> bool:
    return await listener.count("commitment_reports_total", outcome="taken") == count


# pynetdicom lets go of a socket that could not connect without closing it.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
async def test_a_sender_that_does_not_listen_is_told_once_it_does(tmp_path: Path):
    port, dataset = free_port(), radiograph()
    async with running_listener(dimse_settings(tmp_path, senders=[ward(port)])) as listener:
        transaction = await asyncio.to_thread(store_and_ask, listener.port, dataset)

        async def was_tried() -> bool:
            [entry] = await owed(tmp_path)
            return b'"attempts":1' in entry.read_bytes()

        await until(was_tried)
        with taking_reports(port) as reports:
            kind, report = await asyncio.to_thread(reports.get, timeout=60)
        assert (kind, report.TransactionUID) == (1, transaction)
        await until(lambda: has_reported(listener, 1))
        assert await owed(tmp_path) == []


async def test_a_report_survives_the_gateway_that_accepted_its_request(tmp_path: Path):
    port, dimse_port, dataset = free_port(), free_port(), radiograph()
    environment = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_STORE__FOLDER": str(tmp_path / "store"),
        "RADSTREAM_PENDING__SWEEP_S": "1",
        "RADSTREAM_DIMSE__LISTEN": "true",
        "RADSTREAM_DIMSE__PORT": str(dimse_port),
        "RADSTREAM_ROUTING__FILE": str(write_senders(tmp_path, [ward(port)])),
    }
    with taking_reports(port) as reports:
        async with running_command("serve", **environment) as command:
            await command.url()
            transaction = await asyncio.to_thread(
                store_and_ask, dimse_port, dataset, then_kill=command.pid
            )
            await command.process.wait()
        assert reports.empty()
        async with running_command("serve", **environment) as command:
            await command.url()
            kind, report = await asyncio.to_thread(reports.get, timeout=60)
            await until(lambda: none_is_owed(tmp_path))
    assert (kind, report.TransactionUID) == (1, transaction)
    [item] = report.ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == dataset.SOPInstanceUID


async def none_is_owed(folder: Path) -> bool:
    return not await owed(folder)


async def test_a_report_goes_over_tls(tmp_path: Path):
    authority, port, dataset = trustme.CA(), free_port(), radiograph()
    files = {name: tmp_path / f"{name}.pem" for name in ("authority", "certificate", "key")}
    own = authority.issue_cert("gateway.example.org")
    authority.cert_pem.write_to_path(files["authority"])
    own.cert_chain_pems[0].write_to_path(files["certificate"])
    own.private_key_pem.write_to_path(files["key"])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("ward.example.org").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    settings = dimse_settings(
        tmp_path,
        senders=[ward(port, tls=True)],
        tls_certificate=files["certificate"],
        tls_key=files["key"],
        tls_client_ca=files["authority"],
    )
    client = ssl.create_default_context(cafile=str(files["authority"]))
    client.check_hostname = False
    authority.issue_cert("ward.example.org").configure_cert(client)
    async with running_listener(settings) as listener:
        with taking_reports(port, context) as reports:

            def send() -> None:
                entity = ApplicationEntity("SCU")
                entity.add_requested_context(DX, ExplicitVRLittleEndian)
                entity.add_requested_context(PUSH_MODEL)
                association = entity.associate(
                    "127.0.0.1",
                    listener.port,
                    ae_title=TITLE,
                    tls_args=(client, "gateway.example.org"),
                )
                item, information = Dataset(), Dataset()
                item.ReferencedSOPClassUID = DX
                item.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
                information.TransactionUID = generate_uid()
                information.ReferencedSOPSequence = [item]
                status, _ = association.send_n_action(
                    information, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE
                )
                assert status.Status == SUCCESS
                association.release()

            await asyncio.to_thread(send)
            kind, report = await asyncio.to_thread(reports.get, timeout=60)
    assert (kind, report.FailedSOPSequence[0].FailureReason) == (2, 0x0112)
