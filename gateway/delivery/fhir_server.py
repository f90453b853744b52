"""Results to a FHIR server, in one transaction, once.

The server is asked first: of a report that it has, findings and report are given anew, and nothing
is sent of what it has already. What the search does not see yet is held by the transaction itself,
whose resources are created only where none has their identifier.

References
----------
hl7.org/fhir, RESTful API: 3.2.0.9 (search), 3.2.0.13 (transaction), 3.2.0.1.1 (status codes).
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from gateway.delivery.access_tokens import AccessTokens
from gateway.delivery.client_tls import client_context
from gateway.delivery.retry_after import retry_after_s
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.renderings.fhir import URI, Release
from gateway.renderings.fhir_transaction import (
    as_correction,
    as_first,
    is_withdrawal,
    report_identifiers,
)
from gateway.schemas.routing_destinations import DestinationTls

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from gateway.delivery.transport import Rendering
    from gateway.renderings.fhir import Resource
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.routing_destinations import FhirDestination

_MOST_ANSWER_BYTES = 8 * 2**20
# What the server will answer again, however often it is asked. Who may not ask, or asks in the
# wrong place, is to be mended here, and what it sent is not to blame.
_REFUSALS = frozenset({400, 406, 410, 412, 413, 414, 415, 422})
_CODE = re.compile(r"[a-z-]{1,40}")
_VERSION = re.compile(r"[0-9.]{1,16}(-[a-z0-9-]{1,24})?")
_OK, _CREATED, _UNAUTHORIZED = 200, 201, 401


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: Any
    retry_after_s: float | None


class FhirServerTransport:
    """The way to one FHIR server.

    Parameters
    ----------
    destination
        The server.
    """

    def __init__(self, destination: FhirDestination) -> None:
        self._destination = destination
        self._url = URL(destination.url.rstrip("/"))
        login = destination.client_credentials
        self._tokens = None if login is None else AccessTokens(login)

    def close(self) -> None:
        """Do nothing: no connection is open."""

    async def send(self, rendering: Rendering, deadline: Deadline) -> None:
        """Bring the server to the state that the transaction tells of.

        Raises
        ------
        DeliveryRefusedError
            The server refuses the transaction, or has several reports of this identifier.
        DeliveryUnansweredError
            It did not answer, or with what may change.
        """
        transaction = json.loads(rendering.data)
        async with self._call(deadline) as call:
            told = await call.told(transaction)
            if _is_done(told, rendering, transaction):
                return
            # The search may not see yet what the transaction finds.
            if told is None and await call.commit(as_first(transaction)) == _CREATED:
                return
            await call.commit(as_correction(transaction))

    async def is_held(self, rendering: Rendering, deadline: Deadline) -> bool | None:
        """Return True if the server has the report, and all that the transaction tells.

        Raises
        ------
        DeliveryRefusedError, DeliveryUnansweredError
        """
        transaction = json.loads(rendering.data)
        async with self._call(deadline) as call:
            return _is_done(await call.told(transaction), rendering, transaction)

    async def check(self, deadline: Deadline) -> str:
        """Ask for the CapabilityStatement, by the credentials that results come with."""
        async with self._call(deadline) as call:
            statement = await call.statement()
        found = statement.get("fhirVersion")
        version = found if isinstance(found, str) and _VERSION.fullmatch(found) else "none"
        release = self._destination.release
        if not version.startswith(Release[release]):
            raise DeliveryRefusedError(f"it speaks FHIR {version}, and {release} is set here")
        return f"it speaks FHIR {version}"

    @asynccontextmanager
    async def _call(self, deadline: Deadline) -> AsyncIterator[_Call]:
        """Yield a client whose connection ends with the block."""
        is_sent = False
        try:
            connector = aiohttp.TCPConnector(ssl=await self._context(), limit=1)
            async with (
                asyncio.timeout(deadline.remaining_s()),
                aiohttp.ClientSession(
                    connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
                ) as session,
            ):
                release = Release[self._destination.release]
                media_type = f"application/fhir+json; fhirVersion={release}"
                call = _Call(session, self._url, media_type, self._tokens)
                try:
                    yield call
                finally:
                    is_sent = call.is_sent
        except (aiohttp.ClientError, OSError) as error:
            reached = not isinstance(error, aiohttp.ClientConnectorError)
            reason = f"no answer: {type(error).__name__}"
            raise DeliveryUnansweredError(reason, is_sent and reached) from error

    async def _context(self) -> ssl.SSLContext | bool:
        if self._url.scheme != "https":
            return True
        return await asyncio.to_thread(client_context, self._destination.tls or DestinationTls())


class _Call:
    """A connection to the server, and whether a transaction went over it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        media_type: str,
        tokens: AccessTokens | None,
    ) -> None:
        self._session = session
        self._url = url
        self._media_type = media_type
        self._tokens = tokens
        self.is_sent = False

    async def told(self, transaction: Resource) -> str | None:
        """Return the second identifier of the server's report; None where it has no report."""
        lasting, _ = report_identifiers(transaction)
        query = {"identifier": f"{URI}|{lasting}", "_count": "2"}
        answer = await self._ask("GET", self._url / "DiagnosticReport" % query)
        reports = _found(answer.body)
        if len(reports) > 1:
            raise DeliveryRefusedError("it has several reports of this identifier")
        values = [_value(item) for report in reports for item in _listed(report, "identifier")]
        others = [value for value in values if value not in {"", lasting}]
        return next(iter(others), "") if reports else None

    async def statement(self) -> dict[str, Any]:
        """Return the server's CapabilityStatement."""
        body = (await self._ask("GET", self._url / "metadata")).body
        if not isinstance(body, dict) or body.get("resourceType") != "CapabilityStatement":
            raise DeliveryRefusedError("its URL leads to no FHIR server: no CapabilityStatement")
        return body

    async def commit(self, transaction: Resource) -> int:
        """Carry the transaction out; return the status of the report in it."""
        self.is_sent = True
        data = json.dumps(transaction, ensure_ascii=False).encode()
        answer = await self._ask("POST", self._url, data)
        statuses = [
            str(entry["response"].get("status", ""))[:3]
            for entry in _listed(answer.body, "entry")
            if isinstance(entry.get("response"), dict)
        ]
        if len(statuses) != len(transaction["entry"]):
            raise DeliveryUnansweredError("its answer is not of the transaction", is_sent=True)
        if not all(re.fullmatch("2[0-9]{2}", status) for status in statuses):
            raise DeliveryUnansweredError("a part of the transaction failed", is_sent=True)
        return int(statuses[0])

    async def _ask(self, method: str, url: URL, data: bytes | None = None) -> _Answer:
        """Return a successful answer, if need be after one more try with a new token."""
        answer = await self._exchange(method, url, data)
        if answer.status == _UNAUTHORIZED and self._tokens is not None:
            answer = await self._exchange(method, url, data)
        if answer.status == _OK:
            return answer
        reason = f"it answered {answer.status}{_outcome(answer.body)}"
        if answer.status in _REFUSALS and data is not None:
            raise DeliveryRefusedError(reason)
        raise DeliveryUnansweredError(reason, data is not None, answer.retry_after_s)

    async def _exchange(self, method: str, url: URL, data: bytes | None) -> _Answer:
        # HAPI answers a search from its cache unless it is told not to.
        headers = {"Accept": self._media_type, "Cache-Control": "no-cache"}
        if data is not None:
            headers |= {"Content-Type": self._media_type, "Prefer": "return=minimal"}
        token = None if self._tokens is None else await self._tokens.token(self._session)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self._session.request(
            method, url, data=data, headers=headers, allow_redirects=False
        ) as response:
            if response.status == _UNAUTHORIZED and self._tokens is not None:
                self._tokens.forget(token)
            return _Answer(
                response.status,
                await _body(response),
                retry_after_s(response),
            )


def _is_done(told: str | None, rendering: Rendering, transaction: Resource) -> bool:
    """Return True if a server whose report tells this has nothing to be sent."""
    return told == rendering.uid or (told is None and is_withdrawal(transaction))


async def _body(response: aiohttp.ClientResponse) -> Any:
    """Return the JSON that the server answered; None where it is none.

    Raises
    ------
    aiohttp.ClientPayloadError
        It is too long.
    """
    data = bytearray()
    async for chunk in response.content.iter_chunked(2**16):
        data += chunk
        if len(data) > _MOST_ANSWER_BYTES:
            raise aiohttp.ClientPayloadError
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _listed(node: Any, name: str) -> list[dict[str, Any]]:
    """Return the objects in a list of a resource; none where it is not as it should be."""
    found = node.get(name) if isinstance(node, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _found(bundle: Any) -> list[dict[str, Any]]:
    """Return the reports that a search found.

    Raises
    ------
    DeliveryUnansweredError
        The answer is no Bundle.
    """
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise DeliveryUnansweredError("its answer to a search is no Bundle")
    resources = [entry.get("resource") for entry in _listed(bundle, "entry")]
    return [
        resource
        for resource in resources
        if isinstance(resource, dict) and resource.get("resourceType") == "DiagnosticReport"
    ]


def _value(identifier: dict[str, Any]) -> str:
    value = identifier.get("value")
    return value if identifier.get("system") == URI and isinstance(value, str) else ""


def _outcome(body: Any) -> str:
    """Return the first error's code in an OperationOutcome; its words may name a patient."""
    for issue in _listed(body, "issue"):
        severity, code = issue.get("severity"), issue.get("code")
        if severity in ("fatal", "error") and isinstance(code, str) and _CODE.fullmatch(code):
            return f", {severity} {code}"
    return ""
