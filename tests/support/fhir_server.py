"""A small FHIR server: search by identifier, and transactions with conditional requests.

It answers as hl7.org/fhir, RESTful API, has it, and refuses what breaks the rules there. A test may
give it faults, each for one request.
"""

import base64
import copy
import itertools
import json
import secrets
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.test_utils import TestServer

Resource = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Fault = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

CLIENT, SECRET, SCOPE = "radstream", "s%c:ret", "system/*.cruds"


class _RefusedError(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


def outcome(status: int, code: str, **headers: str) -> web.Response:
    """An OperationOutcome whose words name a patient, as those of real servers do."""
    issue = {"severity": "error", "code": code, "diagnostics": "Patient P-7 is Ann Doe"}
    body = {"resourceType": "OperationOutcome", "issue": [issue]}
    return web.json_response(body, status=status, headers=headers)


@dataclass
class FhirServer:
    """The server, and what it holds: resources by `Type/id`, with all their versions."""

    url: str = ""
    token_url: str = ""
    needs_token: bool = False
    lifetime_s: float = 3600
    versions: dict[str, list[Resource]] = field(default_factory=dict)
    received: list[Resource] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    faults: deque[Fault | None] = field(default_factory=deque)
    release: str = "4.0.1"
    hides: bool = False  # a search sees nothing, as where its index is behind

    def held(self, kind: str) -> list[Resource]:
        """The current version of each resource of a type."""
        return [
            versions[-1] for name, versions in self.versions.items() if name.startswith(f"{kind}/")
        ]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.popleft() if self.faults else None
        if fault is not None:
            return await fault(request, self._handle)
        return await self._handle(request)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.needs_token:
            bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not self.tokens or bearer != self.tokens[-1]:
                return outcome(401, "login")
        if request.method == "GET":
            assert request.headers["Cache-Control"] == "no-cache"
            return web.json_response(self._search(request))
        bundle = json.loads(await request.read())
        self.received.append(bundle)
        try:
            return web.json_response(self._transaction(bundle))
        except _RefusedError as error:
            return outcome(error.status, error.code)

    async def grant(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        login = base64.b64decode(request.headers["Authorization"].removeprefix("Basic "))
        if login != f"{CLIENT}:s%25c%3Aret".encode():
            return web.json_response({"error": "invalid_client"}, status=401)
        assert form["grant_type"] == "client_credentials"
        assert form.get("scope") == SCOPE
        self.tokens.append(secrets.token_urlsafe())
        granted = {"access_token": self.tokens[-1], "token_type": "Bearer"}
        return web.json_response(granted | {"expires_in": self.lifetime_s})

    def _search(self, request: web.Request) -> Resource:
        kind = request.match_info["kind"]
        if kind == "metadata":
            return {"resourceType": "CapabilityStatement", "fhirVersion": self.release}
        found = [] if self.hides else self._matches(kind, request.query_string)
        entries = [
            {"fullUrl": f"{self.url}/{name}", "resource": self.versions[name][-1],
             "search": {"mode": "match"}}
            for name in found
        ]  # fmt: skip
        return {"resourceType": "Bundle", "type": "searchset", "total": len(found)} | (
            {"entry": entries} if entries else {}
        )

    def _matches(self, kind: str, query: str) -> list[str]:
        [wanted] = parse_qs(query, strict_parsing=True)["identifier"]
        system, value = wanted.split("|")
        return [
            f"{kind}/{found['id']}"
            for found in self.held(kind)
            if any(
                (each.get("system"), each["value"]) == (system, value)
                for each in found["identifier"]
            )
        ]

    def _transaction(self, bundle: Resource) -> Resource:
        assert bundle["type"] == "transaction"
        placed: list[tuple[str, Resource, int]] = []
        names: dict[str, str] = {}
        new = itertools.count(len(self.versions) + 1)
        for entry in bundle["entry"]:
            request, resource = entry["request"], entry["resource"]
            kind, _, query = request["url"].partition("?")
            assert resource["resourceType"] == kind
            matches = self._matches(kind, query or request["ifNoneExist"])
            if len(matches) > 1:
                raise _RefusedError(412, "multiple-matches")
            if request["method"] == "PUT" and "id" in resource:
                raise _RefusedError(400, "value")
            name = matches[0] if matches else f"{kind}/{next(new)}"
            names[entry["fullUrl"]] = name
            status = 200 if matches else 201
            placed.append((name, resource if status == 201 or query else {}, status))
        for name, resource, _ in placed:
            if resource:
                self._keep(name, _resolved(copy.deepcopy(resource), names))
        responses = [
            {"response": {"status": f"{status} OK", "location": f"{name}/_history/1"}}
            for name, _, status in placed
        ]
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": responses}

    def _keep(self, name: str, resource: Resource) -> None:
        versions = self.versions.setdefault(name, [])
        meta = {"versionId": str(len(versions) + 1)}
        versions.append(resource | {"id": name.split("/")[1], "meta": meta})


def _resolved(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_resolved(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("reference", "").startswith("urn:uuid:"):
        if node["reference"] not in names:
            raise _RefusedError(400, "not-found")
        return node | {"reference": names[node["reference"]]}
    return {key: _resolved(value, names) for key, value in node.items()}


@asynccontextmanager
async def running_fhir_server(context: ssl.SSLContext | None = None) -> AsyncIterator[FhirServer]:
    server = FhirServer()
    application = web.Application(client_max_size=2**26)
    application.router.add_post("/token", server.grant)
    application.router.add_post("/fhir", server.handle)
    application.router.add_get("/fhir/{kind}", server.handle)
    listening = TestServer(application, host="localhost")
    await listening.start_server(ssl=context)
    server.url = str(listening.make_url("/fhir"))
    server.token_url = str(listening.make_url("/token"))
    try:
        yield server
    finally:
        await listening.close()
