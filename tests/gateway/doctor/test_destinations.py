"""Destinations: real archives, and servers of FHIR and HL7 that are not what the document says."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.doctor.clocks import Clocks
from gateway.doctor.destinations import DestinationCheck
from gateway.doctor.findings import Finding, Outcome, Side
from gateway.schemas.report_class import ReportClass
from gateway.settings import DimseSettings
from tests.gateway.doctor.conftest import ServerUnder, routing_document, web_server
from tests.support.delivery_archives import TITLE, archive
from tests.support.dimse import free_port
from tests.support.orthanc import running_orthanc
from tests.support.receiver import receiving

pytestmark = [
    pytest.mark.server,
    # pynetdicom leaves a socket that did not connect to the collector.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
    ),
]


async def found(*, stores: bool = False, **destination: Any) -> Finding:
    [each] = routing_document({"name": "there", **destination}).destinations
    check = DestinationCheck("routing.json", DimseSettings(), Clocks(), stores=stores)
    return await check.finding(0, each)


def dicom(port: int, **changes: Any) -> dict[str, Any]:
    here = {"kind": "dicom", "host": "127.0.0.1", "port": port, "ae_title": "ORTHANC"}
    return here | changes


async def test_an_orthanc_takes_the_test_patient_both_ways_and_has_it(tmp_path: Path):
    port = free_port()
    async with running_orthanc(tmp_path, own_dimse_port=port, DefaultEncoding="Utf8") as pacs:
        assert (await found(**dicom(port))).detail == "C-ECHO answered"
        stored = await found(stores=True, **dicom(port))
        assert (
            stored.detail == "C-ECHO answered, C-STORE of a test patient accepted and found again, "
            "texts in 4 character sets too"
        )
        url = f"{str(pacs.client.base_url).rstrip('/')}/dicom-web"
        assert (await found(kind="stow", url=url)).detail == "DICOMweb answers 200"
        stowed = await found(kind="stow", url=url, stores=True)
        assert stowed.detail == (
            "STOW-RS of a test patient accepted and found again, texts in 4 character sets too"
        )
        wrong = await found(kind="stow", url=url.replace("-", ""))
    assert wrong.outcome is Outcome.WARNING
    assert "routing.json: /destinations/0/url" in (wrong.change or "")


async def test_an_orthanc_that_answers_searches_in_latin_1_loses_other_letters(tmp_path: Path):
    port = free_port()
    async with running_orthanc(tmp_path, own_dimse_port=port, DefaultEncoding="Latin1"):
        finding = await found(stores=True, **dicom(port))
    assert (finding.outcome, finding.side) == (Outcome.WARNING, Side.PEER)
    assert "change texts in ISO_IR 144, ISO 2022 IR 87, ISO_IR 192: " in finding.detail
    assert "DefaultEncoding" in (finding.change or "")


async def test_a_wrong_title_is_named_by_its_line(tmp_path: Path):
    port = free_port()
    async with running_orthanc(tmp_path, own_dimse_port=port):
        finding = await found(**dicom(port, ae_title="PACS"))
    assert (finding.outcome, finding.side) == (Outcome.FAULT, Side.GATEWAY)
    assert (finding.change or "").startswith("routing.json: /destinations/0/ae_title")


async def test_an_archive_that_takes_no_reports_of_the_class_is_told_before_one_is_sent():
    sop_class = ReportClass.ENHANCED.sop_class_uid
    with archive(classes=["1.2.840.10008.1.1", sop_class]) as pacs:
        to = dicom(pacs.port, ae_title=TITLE)
        well = await found(**to, report_class="enhanced")
        finding = await found(**to)
        other = await found(**to, renderings=["secondary-capture"])
    assert (well.outcome, other.outcome) == (Outcome.OK, Outcome.OK)
    assert (finding.outcome, finding.side) == (Outcome.FAULT, Side.EITHER)
    assert "takes no Comprehensive 3D SR Storage (1.2.840" in finding.detail
    assert (finding.change or "").startswith("routing.json: /destinations/0/report_class")


@asynccontextmanager
async def expired_dicom(folder: Path) -> AsyncIterator[dict[str, Any]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    gone = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    authority.issue_cert("pacs", not_after=gone).configure_cert(context)
    with archive(context=context) as pacs:
        yield dicom(pacs.port, tls={"authorities": str(folder / "authority.pem")})


async def test_an_archive_whose_certificate_has_expired(tmp_path: Path):
    async with expired_dicom(tmp_path) as destination:
        finding = await found(**destination)
    assert finding.side is Side.PEER
    assert "has expired" in finding.detail


async def test_files_of_tls_that_are_missing():
    finding = await found(**dicom(104, tls={"authorities": "/nowhere/authorities.pem"}))
    assert finding.side is Side.GATEWAY
    assert "routing.json: /destinations/0" in (finding.change or "")


@pytest.mark.parametrize(
    ("version", "status", "outcome", "line"),
    [
        ("4.0.1", 200, Outcome.OK, None),
        ("5.0.0", 200, Outcome.FAULT, "/release"),
        (None, 404, Outcome.FAULT, "/url"),
        ("4.0.1", 401, Outcome.FAULT, "/client_credentials"),
    ],
)
async def test_a_fhir_server_by_its_capability_statement(
    version: str | None, status: int, outcome: Outcome, line: str | None
):
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": version}
    async with web_server(("/fhir/metadata", status, statement)) as url:
        finding = await found(kind="fhir", url=f"{url}/fhir")
    assert finding.outcome is outcome
    assert line is None or f"/destinations/0{line}" in (finding.change or "")


async def test_a_receiver_of_hl7_and_the_authority_of_another(
    tmp_path: Path, authority: trustme.CA, server_under: ServerUnder
):
    right, wrong = tmp_path / "right.pem", tmp_path / "wrong.pem"
    authority.cert_pem.write_to_path(right)
    trustme.CA().cert_pem.write_to_path(wrong)
    async with server_under() as port:
        receiver = {"kind": "hl7", "host": "localhost", "port": port}
        taken = await found(**receiver, tls={"authorities": str(right)})
        refused = await found(**receiver, tls={"authorities": str(wrong)})
    assert taken.detail == "MLLP takes connections"
    assert refused.side is Side.GATEWAY
    assert "/destinations/0/tls/authorities" in (refused.change or "")


@pytest.mark.parametrize(
    ("status", "outcome"), [(405, Outcome.OK), (401, Outcome.FAULT), (503, Outcome.FAULT)]
)
async def test_a_webhook_is_asked_and_told_nothing(tmp_path: Path, status: int, outcome: Outcome):
    secret = tmp_path / "secret"
    secret.write_text("s" * 32)
    async with receiving(tmp_path) as receiver:
        receiver.statuses = [status]
        tls = {"authorities": str(receiver.ca_file)}
        finding = await found(
            kind="webhook", url=receiver.url, secret_file=str(secret), tls=tls, stores=True
        )
    assert finding.outcome is outcome
    assert str(status) in finding.detail
    assert outcome is Outcome.OK or "/destinations/0/secret_file" in (finding.change or "")
    assert [body for _, _, body in receiver.came] == [b""]


async def test_a_token_that_is_not_to_be_had():
    login = {"token_url": "https://127.0.0.1:9/token", "client_id": "a", "secret_file": "/nowhere"}
    finding = await found(kind="fhir", url="https://127.0.0.1:9/fhir", client_credentials=login)
    assert "no access token" in finding.detail
    assert "/destinations/0/client_credentials" in (finding.change or "")
