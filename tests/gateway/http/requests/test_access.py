"""Every route asks for a scope or is open on purpose, and callers prove who they are."""

import asyncio
import dataclasses
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from gateway.access.callers import Scope
from gateway.access.key_file import read_keys
from gateway.app.application import create_app
from gateway.http.dependencies import Reach
from gateway.http.requests.access import require, require_for_metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.settings import AccessSettings, Settings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import AUDIENCE, Issuer, add_key, remove_key, running_issuer
from tests.support.gateway import (
    LiveGateway,
    metadata,
    metric,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png
from tests.support.telemetry import events_in

KEY = "a key of more than thirty-two characters"
OPEN = {"/", "/docs", "/docs/start.js", "/livez", "/openapi.json", "/readyz"}


def routes() -> list[RouteContext]:
    found = iter_route_contexts(create_app(Settings()).routes)
    return [route for route in found if isinstance(route.original_route, APIRoute)]


def calls(dependant: Dependant) -> Iterator[object]:
    """What a route depends on, and what that does."""
    for dependency in dependant.dependencies:
        yield dependency.call
        yield from calls(dependency)


def scope_of(route: RouteContext) -> Scope | None:
    dependencies = set(calls(route.dependant))
    if require_for_metrics in dependencies:
        return Scope.OPERATE
    scopes = [
        scope
        for scope in Scope
        if require(scope) in dependencies
        or any(require(scope, reach) in dependencies for reach in Reach)
    ]
    assert len(scopes) <= 1, route.path
    return scopes[0] if scopes else None


def expected_scope(path: str, method: str) -> Scope | None:  # noqa: PLR0911 - one for each scope
    match path.split("/")[1:]:
        case ["v1", "parked" | "destinations" | "rules", *_] | ["metrics"]:
            return Scope.OPERATE
        case ["v1", "studies", _, "deliveries"]:
            return Scope.OPERATE
        case ["v1", "studies", _] | ["v1", "models", *_] if method != "GET":
            return Scope.OPERATE
        case ["v1", "studies", _, "feedback"]:
            return Scope.STUDIES_FEEDBACK
        case ["v1", "events", *_]:
            return Scope.EVENTS_WRITE
        case ["v1" | "dicomweb", "studies", *_] if method != "GET":
            return Scope.STUDIES_WRITE
        case ["v1" | "dicomweb", *_]:
            return Scope.STUDIES_READ
    return None


def test_every_route_names_its_scope_or_is_open_on_purpose():
    assert {route.path for route in routes() if scope_of(route) is None} == OPEN
    for route in routes():
        [method] = route.methods
        assert scope_of(route) is expected_scope(route.path, method), (method, route.path)


def test_the_caller_is_known_before_the_body_is_read():
    # FastAPI reads a body that is a parameter of the route before it asks the dependencies.
    assert [route.path for route in routes() if route.body_field is not None] == []


@dataclasses.dataclass
class Guarded:
    """A gateway that asks, its key file and its issuer of tokens."""

    gateway: LiveGateway
    key_file: Path
    issuer: Issuer
    all_scopes: str

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.gateway.client.get(path, headers=headers)

    async def metric(self, name: str, **labels: str) -> float:
        text = (await self.get("/metrics", **{"X-API-Key": self.all_scopes})).text
        return metric(text, name, **labels)


@pytest.fixture(scope="module")
async def guarded(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    key, _ = add_key(folder / "keys.json", "operator", *Scope)
    with running_issuer() as issuer:
        access = AccessSettings(key_file=folder / "keys.json", issuer=issuer.url, audience=AUDIENCE)
        settings = settings_for(triton.grpc_url, folder / "store")
        telemetry = settings.telemetry.model_copy(update={"study_ref_key": SecretStr(KEY)})
        changes = {"access": access, "telemetry": telemetry}
        async with running_gateway(settings.model_copy(update=changes)) as gateway:
            await until(gateway.is_ready)
            yield Guarded(gateway, folder / "keys.json", issuer, key)


async def key_of(guarded: Guarded, name: str, *scopes: Scope) -> str:
    """A key that the running gateway knows by now."""
    key, _ = add_key(guarded.key_file, name, *scopes)

    async def is_known() -> bool:
        answer = await guarded.get("/v1/studies", **{"X-API-Key": key})
        return answer.status_code != 401

    await until(is_known)
    return key


def challenge(answer: httpx.Response) -> tuple[int, str, str]:
    kind = answer.json()["type"].removeprefix("urn:radstream:problem:")
    return answer.status_code, kind, answer.headers["www-authenticate"]


REALM = 'Bearer realm="radstream"'


async def test_who_says_nothing_is_asked(guarded: Guarded):
    assert challenge(await guarded.get("/v1/studies")) == (401, "credentials-missing", REALM)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs", "/openapi.json"])
async def test_what_is_open_stays_open(path: str, guarded: Guarded):
    assert (await guarded.get(path)).status_code == 200


async def test_a_key_and_a_token_open_what_they_are_for(guarded: Guarded):
    key = await key_of(guarded, "viewer", Scope.STUDIES_READ)
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {guarded.issuer.token()}"}):
        assert (await guarded.get("/v1/studies", **headers)).status_code == 200
        for path in ("/v1/parked", "/metrics"):
            assert challenge(await guarded.get(path, **headers)) == (
                403,
                "scope-missing",
                f'{REALM}, error="insufficient_scope", scope="operate"',
            )


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "radstream_0123456789_" + "a" * 38},
        {"X-API-Key": ""},
        {"X-API-Key": "'; DROP TABLE keys; --"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
    ],
)
async def test_a_bad_credential_is_refused(headers: dict[str, str], guarded: Guarded):
    assert challenge(await guarded.get("/v1/studies", **headers)) == (
        401,
        "credentials-invalid",
        f'{REALM}, error="invalid_token"',
    )


async def test_one_request_has_one_credential(guarded: Guarded):
    token = f"Bearer {guarded.issuer.token()}"
    twice = [
        [("X-API-Key", guarded.all_scopes), ("Authorization", token)],
        [("X-API-Key", guarded.all_scopes)] * 2,
        [("Authorization", token)] * 2,
    ]
    for headers in twice:
        answer = await guarded.gateway.client.get("/v1/studies", headers=headers)
        assert challenge(answer)[:2] == (400, "credentials-ambiguous")


async def test_the_caller_is_refused_before_the_body_is_sent(guarded: Guarded):
    url = httpx.URL(guarded.gateway.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(
        b"POST /v1/studies HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        b"Content-Type: image/png\r\nContent-Length: 1000000\r\n\r\n"
    )
    answer = await reader.readuntil(b"\r\n")
    writer.close()
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_keys_come_and_go_while_the_gateway_runs(guarded: Guarded):
    key, entry = add_key(guarded.key_file, "sender", Scope.STUDIES_WRITE)
    sent = multipart(metadata(), flat_png(200))

    async def status() -> int:
        answer = await guarded.gateway.client.post(
            "/v1/studies", headers={"X-API-Key": key}, **sent
        )
        return answer.status_code

    async def is_(expected: int) -> bool:
        return await status() == expected

    await until(lambda: is_(200))
    remove_key(guarded.key_file, entry)
    await until(lambda: is_(401))


async def test_failures_are_counted_by_reason(guarded: Guarded):
    name = "radstream_auth_failures_total"
    before = await guarded.metric(name, reason="malformed")
    await guarded.get("/v1/studies", **{"X-API-Key": "guess"})
    assert await guarded.metric(name, reason="malformed") == before + 1


async def test_the_api_says_what_each_route_asks_for(guarded: Guarded):
    document = (await guarded.get("/openapi.json")).json()
    assert set(document["components"]["securitySchemes"]) == {"apiKey", "bearer"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            scope = expected_scope(path, method.upper())
            told: list[dict[str, Any]] = operation.get("security", [])
            if path == "/metrics":
                continue
            expected = [] if scope is None else [{"apiKey": [scope]}, {"bearer": [scope]}]
            assert told == expected, (method, path)
            assert ("401" in operation["responses"]) == (scope is not None), (method, path)


# --- without keys, on loopback --------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example.org"},
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"X-Forwarded-For": "192.0.2.7"},
        {"Forwarded": "for=192.0.2.7"},
    ],
)
async def test_only_this_machine_is_served_without_keys(
    headers: dict[str, str], client: httpx.AsyncClient
):
    answer = await client.get("/v1/studies", headers=headers)
    assert answer.status_code == 403
    assert answer.json()["type"].endswith("foreign-origin")


async def test_the_gateways_own_pages_are_of_this_machine(client: httpx.AsyncClient):
    own = str(client.base_url).rstrip("/")
    assert (await client.get("/v1/studies", headers={"Origin": own})).status_code == 200


async def test_callers_are_counted_by_the_names_of_their_keys_and_by_nothing_else(
    guarded: Guarded,
):
    """Two hospitals, a 202, a token whose subject is new each time, and whoever has no key."""
    client = guarded.gateway.client
    keys = [await key_of(guarded, f"hospital {each}", Scope.STUDIES_WRITE) for each in "ab"]
    told: dict[str, str] = {}

    async def send(headers: dict[str, str], status: int, **fields: Any) -> str:
        study_id = secrets.token_hex(8)
        document = metadata(study_id=study_id, caller=secrets.token_hex(4), **fields)
        answer = await client.post(
            "/v1/studies", headers=headers, **multipart(document, flat_png(90))
        )
        assert answer.status_code == status, answer.text
        return study_id

    told[await send({"X-API-Key": keys[0]}, 200)] = "hospital a"
    told[await send({"X-API-Key": keys[0], "Prefer": "respond-async"}, 202)] = "hospital a"
    told[await send({"X-API-Key": keys[1]}, 422, view="UP")] = "hospital b"
    for _ in range(2):
        token = guarded.issuer.token(sub=secrets.token_hex(4), scope="studies:write")
        told[await send({"Authorization": f"Bearer {token}"}, 200)] = "oidc"
        await send({"X-API-Key": secrets.token_hex(4)}, 401)
        await send({"Authorization": f"Bearer {token[:-4]}AAAA"}, 401)

    name = "radstream_caller_studies_total"

    counts = {
        ("hospital a", "completed"): 2,
        ("hospital b", "InvalidMetadataError"): 1,
        ("oidc", "completed"): 2,
    }

    async def are_counted() -> bool:
        found = {
            (caller, outcome): await guarded.metric(name, caller=caller, outcome=outcome)
            for caller, outcome in counts
        }
        return found == counts

    await until(are_counted)
    text = (await guarded.get("/metrics", **{"X-API-Key": guarded.all_scopes})).text
    callers = {
        sample.labels["caller"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }
    names = {entry.name for entry in read_keys(guarded.key_file).keys}
    assert callers <= names | {"oidc", "sender"}  # a key that another test has taken out again

    references = {Pseudonyms(KEY).study_ref(study_id): caller for study_id, caller in told.items()}

    async def are_told() -> bool:
        events = events_in(guarded.gateway.settings.telemetry.folder)
        found = {event["study_ref"]: event["caller"] for event in events}
        return references.items() <= found.items()

    await until(are_told)
