"""Reports on associations that the gateway asks for, over TLS."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom.ae import ApplicationEntity

from gateway.dimse.commitment_messages import PUSH_MODEL, PUSH_MODEL_INSTANCE
from tests.support.commitment import DX, SUCCESS, taking_reports, ward
from tests.support.dicom import radiograph
from tests.support.dimse import TITLE, dimse_settings, free_port, running_listener

pytestmark = pytest.mark.server


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
