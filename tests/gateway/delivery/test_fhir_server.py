"""Results to a FHIR server: held once, corrected, withdrawn, whatever the server does meanwhile."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import fhirkit
import pytest
import trustme
from aiohttp import web
from fhir.resources.bundle import Bundle as R5Bundle

from gateway.delivery.fhir_server import FhirServerTransport
from gateway.delivery.transport import Rendering
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.renderings.fhir import IdentifierSystems, Release
from gateway.renderings.fhir_transaction import fhir_transaction, report_identifiers
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import RenderingKind, StudyResult
from gateway.schemas.routing_destinations import FhirDestination
from tests.support.fhir_server import (
    CLIENT,
    SCOPE,
    SECRET,
    FhirServer,
    Handler,
    outcome,
    running_fhir_server,
)
from tests.support.studies import IDENTITY, image, reading, study

SYSTEMS = IdentifierSystems()


@pytest.fixture
async def server() -> AsyncIterator[FhirServer]:
    async with running_fhir_server() as server:
        yield server


@pytest.fixture
def transport(server: FhirServer) -> FhirServerTransport:
    return to(server.url)


def to(url: str, **changes: Any) -> FhirServerTransport:
    """The way to the server."""
    named = {"name": "record", "kind": "fhir", "url": url}
    return FhirServerTransport(FhirDestination.model_validate(named | changes))


def rendering(found: StudyResult, release: Release = Release.R4, **changes: Any) -> Rendering:
    bundle = fhir_transaction(found, IDENTITY, SYSTEMS, release, **changes)
    _, told = report_identifiers(bundle)
    return Rendering(RenderingKind.FHIR, told, "application/fhir+json", json.dumps(bundle).encode())


def soon() -> Deadline:
    return Deadline.after(30)


async def lost_answer(request: web.Request, handle: Handler) -> web.StreamResponse:
    await handle(request)
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def lost_request(request: web.Request, _: Handler) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def answering(status: int, code: str, **headers: str) -> Any:
    async def answer(_: web.Request, __: Handler) -> web.StreamResponse:
        return outcome(status, code, **headers)

    return answer


def saying(body: str) -> Any:
    async def answer(_: web.Request, __: Handler) -> web.StreamResponse:
        return web.Response(text=body, content_type="application/json")

    return answer


@pytest.mark.parametrize("release", Release)
async def test_a_hundred_repeats_leave_one_report(server: FhirServer, release: Release):
    transport, sent = to(server.url, release=release.name), rendering(study(image()), release)
    assert await transport.is_held(sent, soon()) is False
    for _ in range(100):
        await transport.send(sent, soon())
    assert await transport.is_held(sent, soon()) is True
    assert {name: len(versions) for name, versions in server.versions.items()} == {
        "DiagnosticReport/1": 1, "ImagingStudy/2": 1, "Observation/3": 1, "Device/4": 1,
    }  # fmt: skip
    [bundle] = server.received
    if release is Release.R4:
        assert fhirkit.validate(json.dumps(bundle)) == []
    else:
        R5Bundle.model_validate_json(json.dumps(bundle))
    [report] = server.held("DiagnosticReport")
    assert report["result"] == [{"reference": "Observation/3"}]


async def test_repeats_of_which_answers_and_requests_are_lost_leave_one_report(
    server: FhirServer, transport: FhirServerTransport
):
    sent, failures = rendering(study(image())), list[DeliveryUnansweredError]()
    for number in range(100):
        server.faults.extend([None, (lost_answer, lost_request, None)[number % 3]])
        try:
            await transport.send(sent, soon())
        except DeliveryUnansweredError as error:
            failures.append(error)
        server.faults.clear()
        if number % 10 == 5:
            server.hides = not server.hides
    assert {error.is_sent for error in failures} == {True}
    assert {len(server.held(kind)) for kind in ("DiagnosticReport", "Observation", "Device")} == {1}


async def test_repeats_at_the_same_time_leave_one_report(
    server: FhirServer, transport: FhirServerTransport
):
    sent = rendering(study(image()))
    await asyncio.gather(*(transport.send(sent, soon()) for _ in range(20)))
    assert len(server.held("DiagnosticReport")) == len(server.held("Observation")) == 1


@pytest.mark.parametrize("hides", [False, True])
async def test_a_correction_is_a_new_version_that_still_is_preliminary(
    server: FhirServer, transport: FhirServerTransport, hides: bool
):
    await transport.send(rendering(study(image())), soon())
    server.hides = hides  # then the transaction itself finds the report
    corrected = rendering(study(image(1, reading(0.3)), image(2)))
    await transport.send(corrected, soon())
    server.hides = False
    [report] = server.held("DiagnosticReport")
    assert report["id"] == "1"
    assert report["status"] == "preliminary"
    assert len(report["result"]) == 2
    values = {each["valueQuantity"]["value"] for each in server.held("Observation")}
    assert values == {0.3, 0.9}
    assert len(server.versions["Device/4"]) == 1
    assert await transport.is_held(corrected, soon())


async def test_findings_of_a_superseded_image_become_entered_in_error(
    server: FhirServer, transport: FhirServerTransport
):
    await transport.send(rendering(study(image())), soon())
    replaced = study(image(1, superseded_by="f" * 64), image(2))
    await transport.send(rendering(replaced), soon())
    assert [each["status"] for each in server.held("Observation")] == [
        *("entered-in-error", "preliminary")
    ]


async def test_a_withdrawal_enters_in_error_what_the_server_has_and_creates_nothing(
    server: FhirServer, transport: FhirServerTransport
):
    withdrawal = rendering(study(image()), withdrawn=True)
    await transport.send(withdrawal, soon())
    assert server.versions == {}
    assert await transport.is_held(withdrawal, soon())
    await transport.send(rendering(study(image())), soon())
    assert await transport.is_held(withdrawal, soon()) is False
    await transport.send(withdrawal, soon())
    for kind in ("DiagnosticReport", "Observation", "ImagingStudy"):
        [found] = server.held(kind)
        assert found["status"] == "entered-in-error"
    assert await transport.is_held(withdrawal, soon())


@pytest.mark.parametrize(
    ("status", "code", "refusal"),
    [
        (422, "invariant", DeliveryRefusedError("it answered 422, error invariant")),
        (412, "multiple-matches", DeliveryRefusedError("it answered 412, error multiple-matches")),
        (400, "Ann Doe", DeliveryRefusedError("it answered 400")),
        (409, "conflict", DeliveryUnansweredError("it answered 409, error conflict")),
        (503, "transient", DeliveryUnansweredError("it answered 503, error transient")),
        (302, "x", DeliveryUnansweredError("it answered 302, error x")),
        (403, "forbidden", DeliveryUnansweredError("it answered 403, error forbidden")),
    ],
)
async def test_a_refusal_is_told_by_its_codes_alone(
    server: FhirServer,
    transport: FhirServerTransport,
    status: int,
    code: str,
    refusal: DeliveryRefusedError | DeliveryUnansweredError,
):
    server.faults.extend([None, answering(status, code, **{"Retry-After": "7"})])
    with pytest.raises(type(refusal)) as caught:
        await transport.send(rendering(study(image())), soon())
    assert caught.value.reason == refusal.reason
    if isinstance(caught.value, DeliveryUnansweredError):
        assert caught.value.retry_after_s == 7


async def test_several_reports_of_one_identifier_are_for_a_person_to_mend(
    server: FhirServer, transport: FhirServerTransport
):
    sent = rendering(study(image()))
    await transport.send(sent, soon())
    [twin] = server.held("DiagnosticReport")
    server.versions["DiagnosticReport/99"] = [twin | {"id": "99"}]
    with pytest.raises(DeliveryRefusedError) as caught:
        await transport.send(sent, soon())
    assert caught.value.reason == "it has several reports of this identifier"


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("[]", 0), ("{", 0), ("[" * 9999, 0), ('{"resourceType": "Patient"}', 0),
        ("{}", 1), ('{"entry": [1]}', 1), ('{"entry": [{}, {}, {}, {}]}', 1),
        (json.dumps({"entry": [{"response": {"status": "500"}}] * 4}), 1),
        (" " * (9 * 2**20), 1),
    ],
)  # fmt: skip
async def test_an_answer_that_is_none_leaves_the_result_to_be_sent_again(
    server: FhirServer, transport: FhirServerTransport, body: str, place: int
):
    server.faults.extend([None] * place + [saying(body)])
    with pytest.raises(DeliveryUnansweredError) as caught:
        await transport.send(rendering(study(image())), soon())
    assert caught.value.is_sent == (place == 1)


async def test_a_server_that_is_silent_or_gone_leaves_the_result_to_be_sent_again(
    server: FhirServer, transport: FhirServerTransport
):
    ended = asyncio.Event()

    async def silent(_: web.Request, __: Handler) -> web.StreamResponse:
        await ended.wait()
        return web.Response()

    for place, is_sent in ((0, False), (1, True)):
        server.faults.extend([None] * place + [silent])
        with pytest.raises(DeliveryUnansweredError) as caught:
            await transport.send(rendering(study(image())), Deadline.after(0.3))
        assert caught.value.is_sent == is_sent
    ended.set()
    gone = to("http://127.0.0.1:1/fhir")
    with pytest.raises(DeliveryUnansweredError):
        await gone.send(rendering(study(image())), soon())


async def test_a_token_serves_until_it_expires_or_is_refused(tmp_path: Path):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authorities, secret = tmp_path / "authorities.pem", tmp_path / "secret"
    authority.cert_pem.write_to_path(str(authorities))
    secret.write_text(f"{SECRET}\n")
    async with running_fhir_server(context) as server:
        server.needs_token = True
        credentials = {"token_url": server.token_url, "client_id": CLIENT, "scope": SCOPE}
        transport = to(
            server.url,
            tls={"authorities": authorities},
            client_credentials=credentials | {"secret_file": secret},
        )
        sent = rendering(study(image()))
        await transport.send(sent, soon())
        await transport.send(sent, soon())
        assert len(server.tokens) == 1
        server.tokens.append("another")  # the server knows the first one no more
        await transport.send(sent, soon())
        assert len(server.tokens) == 3
        assert len(server.held("DiagnosticReport")) == 1
        with pytest.raises(DeliveryUnansweredError, match="ClientConnectorCertificateError"):
            await to(server.url).send(sent, soon())


async def test_credentials_that_are_refused_twice_are_for_a_person_to_mend(
    server: FhirServer, transport: FhirServerTransport
):
    server.needs_token = True
    with pytest.raises(DeliveryUnansweredError) as caught:
        await transport.send(rendering(study(image())), soon())
    assert caught.value.reason == "it answered 401, error login"


@pytest.mark.server
async def test_medplums_router_holds_one_report_corrects_it_and_withdraws_it():
    peer = Path(__file__).parent / "peers" / "fhir_server.js"
    process = await asyncio.create_subprocess_exec("node", peer, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(await process.stdout.readline())}/fhir"
        transport = to(url)
        first = rendering(study(image()))
        corrected = rendering(study(image(1, reading(0.3)), image(2)))
        withdrawal = rendering(study(image(1, reading(0.3)), image(2)), withdrawn=True)
        async with aiohttp.ClientSession() as session:
            for sent, status in (
                (first, "preliminary"),
                (corrected, "preliminary"),
                (withdrawal, "entered-in-error"),
            ):
                assert await transport.is_held(sent, soon()) is False
                await transport.send(sent, soon())
                await transport.send(sent, soon())
                assert await transport.is_held(sent, soon()) is True
                [report] = await every(session, f"{url}/DiagnosticReport")
                assert report["status"] == status
                found = await every(session, f"{url}/Observation")
                assert {each["status"] for each in found} == {status}
                assert {each["reference"] for each in report["result"]} == {
                    f"Observation/{each['id']}" for each in found
                }
            assert len(await every(session, f"{url}/Device")) == 1
    finally:
        process.kill()
        await process.wait()


async def every(session: aiohttp.ClientSession, url: str) -> list[Any]:
    async with session.get(url) as response:
        return [entry["resource"] for entry in (await response.json())["entry"]]
