"""The check of a destination says at which step the fault is, and changes nothing there."""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from pydantic import TypeAdapter
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from gateway.delivery.destination_check import CheckedStep, address_of, check_destination
from gateway.runtime.deadline import Deadline
from gateway.schemas.routing_destinations import Destination
from gateway.settings import DimseSettings
from tests.support.delivery import dicom, web
from tests.support.delivery_archives import CLASSES, archive, mute, web_archive
from tests.support.fhir_server import running_fhir_server

# pynetdicom leaves a socket that did not connect to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)

ECHOING = [*CLASSES, Verification]


def destination(**fields: Any) -> Destination:
    found: Destination = TypeAdapter(Destination).validate_python(fields)
    return found


async def check(seconds: float = 20.0, **fields: Any) -> Sequence[CheckedStep]:
    return await check_destination(destination(**fields), DimseSettings(), Deadline.after(seconds))


def told(steps: Sequence[CheckedStep]) -> list[tuple[str, bool]]:
    return [(step.step.value, step.passed) for step in steps]


async def test_an_archive_is_asked_for_an_echo():
    with archive(classes=ECHOING) as pacs:
        steps = await check(**dicom("pacs", pacs.port))
    assert told(steps) == [("connection", True), ("answer", True)]
    assert steps[-1].detail == "it answered the C-ECHO"
    assert pacs.arrived == []


@pytest.mark.parametrize(
    ("callers", "changes", "words"),
    [
        (["X"], {}, "it does not know the AE title of the gateway"),
        ([], {"ae_title": "X"}, "its own AE title is another one"),
    ],
)
async def test_an_archive_that_rejects_says_whose_ae_title_is_wrong(
    callers: list[str], changes: dict[str, Any], words: str
):
    with archive(classes=ECHOING, callers=callers) as pacs:
        steps = await check(**dicom("pacs", pacs.port, **changes))
    assert told(steps) == [("connection", True), ("answer", False)]
    assert steps[-1].detail.endswith(words)


async def test_an_archive_without_an_echo_is_told():
    with archive() as pacs:
        [_, answer] = await check(**dicom("pacs", pacs.port))
    assert (answer.passed, answer.detail) == (
        False,
        "it takes the association and no C-ECHO on it",
    )


async def test_nobody_there_no_such_name_and_nobody_who_speaks():
    with mute() as port:
        [connected, silent] = await check(2.0, **dicom("pacs", port))
    assert connected.passed
    assert not silent.passed
    [refused] = await check(**dicom("pacs", port))
    assert refused.detail == f"127.0.0.1 refuses connections to port {port}: nothing listens there"
    [unknown] = await check(**dicom("pacs", 104, host="pacs.invalid"))
    assert unknown.detail.startswith("the name pacs.invalid is not known")


@pytest.mark.parametrize(
    ("status", "passed", "words"),
    [
        (None, True, "it answered QIDO-RS with status 204"),
        (200, True, "status 200"),
        (405, True, "without QIDO-RS"),
        (401, False, "refused the credentials"),
        (404, False, "leads to no DICOMweb service"),
        (302, False, "status 302"),
        (500, False, "status 500"),
    ],
)
async def test_an_archive_on_the_web_is_asked_for_studies(
    status: int | None, passed: bool, words: str
):
    async with web_archive() as vna:
        vna.searches = status
        [connected, answer] = await check(**web("vna", vna.url))
    assert connected.passed
    assert answer.passed is passed
    assert words in answer.detail
    assert vna.came == []


async def test_a_fhir_server_is_asked_for_its_release():
    async with running_fhir_server() as server:
        asked = {"name": "record", "kind": "fhir", "url": server.url}
        [_, answer] = await check(**asked)
        assert (answer.passed, answer.detail) == (True, "it speaks FHIR 4.0.1")
        [_, answer] = await check(**asked | {"release": "R5"})
        assert answer.detail == "it speaks FHIR 4.0.1, and R5 is set here"
        server.release = "<b>Ann Doe</b>"
        [_, answer] = await check(**asked)
        assert answer.detail == "it speaks FHIR none, and R4 is set here"
        [_, answer] = await check(**asked | {"url": f"{server.url}/elsewhere"})
        assert not answer.passed
        assert server.received == []


async def test_a_receiver_of_messages_is_connected_to_and_sent_nothing():
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        steps = await check(name="ris", kind="hl7", host="127.0.0.1", port=port)
    assert told(steps) == [("connection", True), ("answer", True)]
    assert set(came) <= {b""}


async def test_tls_tells_until_when_the_certificate_holds_or_why_it_is_not_trusted(tmp_path: Path):
    authority, other = trustme.CA(), trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = authority.issue_cert("localhost")
    certificate.configure_cert(serving)
    (shown,) = x509.load_pem_x509_certificates(certificate.cert_chain_pems[0].bytes())
    for name, each in (("known", authority), ("other", other)):
        each.cert_pem.write_to_path(str(tmp_path / name))
    with archive(classes=ECHOING, context=serving) as pacs:
        asked = dicom("pacs", pacs.port, tls={"authorities": tmp_path / "known"})
        steps = await check(**asked)
        assert told(steps) == [("connection", True), ("tls", True), ("answer", True)]
        until = f"{shown.not_valid_after_utc:%Y-%m-%d}"
        assert steps[1].detail == f"its certificate is trusted, until {until}"
        steps = await check(**asked | {"tls": {"authorities": tmp_path / "other"}})
        assert told(steps) == [("connection", True), ("tls", False)]
        assert steps[1].detail.startswith("its certificate is not trusted: ")
        steps = await check(**asked | {"tls": {"authorities": tmp_path / "none"}})
        assert steps[-1].detail == "the files of its TLS cannot be used"
    async with web_archive(serving) as vna:
        tls = {"authorities": str(tmp_path / "known")}
        steps = await check(**web("vna", vna.url) | {"tls": tls})
    assert told(steps) == [("connection", True), ("tls", True), ("answer", True)]


async def test_a_peer_without_tls_is_told():
    with archive(classes=ECHOING) as pacs:
        steps = await check(2.0, **dicom("pacs", pacs.port, tls={}))
    assert told(steps) == [("connection", True), ("tls", False)]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://vna.example.org/dicom-web", ("vna.example.org", 443)),
        ("http://vna.example.org:8042/dicom-web", ("vna.example.org", 8042)),
        ("http://[::1]/dicom-web", ("::1", 80)),
    ],
)
def test_the_address_of_a_url_has_its_usual_port(url: str, expected: tuple[str, int]):
    assert address_of(destination(**web("vna", url))) == expected
