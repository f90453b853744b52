"""Results to an archive by STOW-RS, one object a request, and QIDO-RS to see that it is there.

Each request has a connection of its own, and follows no redirection: credentials go to the URL of
the routing document alone.

References
----------
DICOM PS3.18, 10.5 (Store Transaction), 10.6 (Search Transaction) and annex I.2.2.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import quote

import aiohttp
import structlog

from gateway.delivery.client_tls import client_context
from gateway.delivery.dicom_objects import MEDIA_TYPE, STORED, may_pass, parsed
from gateway.delivery.retry_after import retry_after_s
from gateway.delivery.secret_files import secret_in
from gateway.delivery.stow_answers import lists, store_answer
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.schemas.routing_destinations import DestinationTls

if TYPE_CHECKING:
    import ssl

    from gateway.delivery.transport import Rendering
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.routing_destinations import StowDestination

log = structlog.get_logger()

_JSON = "application/dicom+json"
_CONNECT_S = 5.0
_MOST_ANSWER_BYTES = 2**20
_STORED_ALL, _STORED_SOME, _STORED_NONE = 200, 202, 409
_NO_CONTENT = 204
# Unauthorized, as of a token that is being renewed; Request Timeout; Too Early; Too Many Requests.
_PASSING = frozenset({401, 408, 425, 429})
_SERVER_ERRORS = 500
_DENIED = frozenset({401, 403})
_NOT_FOUND = 404
# Method Not Allowed and Not Implemented, of a service that takes objects and lists none.
_WITHOUT_SEARCH = frozenset({405, 501})


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    retry_after_s: float | None


class StowTransport:
    """The way to one archive.

    Parameters
    ----------
    destination
        The archive.
    """

    def __init__(self, destination: StowDestination) -> None:
        self._destination = destination
        self._root = destination.url.rstrip("/")

    def close(self) -> None:
        """Do nothing: no connection is open."""

    async def send(self, rendering: Rendering, deadline: Deadline) -> None:
        """Store the object; see `Transport.send`."""
        boundary = f"radstream-{secrets.token_hex(16)}"
        head = f"--{boundary}\r\nContent-Type: {MEDIA_TYPE}\r\n\r\n".encode()
        body = b"".join((head, rendering.data, f"\r\n--{boundary}--\r\n".encode()))
        content_type = f'multipart/related; type="{MEDIA_TYPE}"; boundary={boundary}'
        answer = await self._ask(
            "POST", "/studies", deadline, body=body, headers={"Content-Type": content_type}
        )
        self._judge(answer, rendering.uid)

    async def is_held(self, rendering: Rendering, deadline: Deadline) -> bool | None:
        """Return True if QIDO-RS lists the object; None where the archive answers no search."""
        dataset = parsed(rendering.data)
        study, series = quote(dataset.StudyInstanceUID), quote(dataset.SeriesInstanceUID)
        path = f"/studies/{study}/series/{series}/instances?SOPInstanceUID={quote(rendering.uid)}"
        answer = await self._ask("GET", path, deadline)
        if answer.status in {_STORED_ALL, _NO_CONTENT}:
            return lists(answer.body, rendering.uid)
        if answer.status in _PASSING or answer.status == 503:  # noqa: PLR2004 - as it says
            raise DeliveryUnansweredError(f"it answered QIDO-RS with status {answer.status}")
        return None

    async def check(self, deadline: Deadline) -> str:
        """Ask for a list of one study, by the credentials that results come with."""
        answer = await self._ask("GET", "/studies?limit=1", deadline)
        status = answer.status
        if status in {_STORED_ALL, _NO_CONTENT}:
            return f"it answered QIDO-RS with status {status}"
        if status in _WITHOUT_SEARCH:
            return f"it answers, without QIDO-RS: status {status}"
        if status in _DENIED:
            reason = f"it refused the credentials with status {status}"
        elif status == _NOT_FOUND:
            reason = f"its URL leads to no DICOMweb service: status {status} for /studies"
        else:
            reason = f"it answered QIDO-RS with status {status}"
        raise DeliveryRefusedError(reason)

    def _judge(self, answer: _Answer, uid: str) -> None:
        """Return where the object is stored.

        Raises
        ------
        DeliveryRefusedError, DeliveryUnansweredError
        """
        status = answer.status
        found = store_answer(answer.body, uid)
        if found is not None and found.failure is not None:
            if found.failure in STORED and found.failure:
                return
            reason = f"it answered STOW-RS with status {status}, reason {found.failure:04X}"
            raise _error(reason, answer, passes=may_pass(found.failure))
        if status == _STORED_ALL or (found is not None and found.is_stored):
            if found is not None and found.warning is not None:
                log.warning(
                    "delivery.stored_with_warning",
                    destination=self._destination.name,
                    status=f"{found.warning:04X}",
                )
            return
        reason = f"it answered STOW-RS with status {status}"
        # An answer that says of no object what became of it: a search tells.
        passes = status in _PASSING or status >= _SERVER_ERRORS or status == _STORED_SOME
        raise _error(reason, answer, passes=passes)

    async def _ask(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> _Answer:
        context, authorization = await asyncio.to_thread(self.opening)
        timeout = aiohttp.ClientTimeout(total=deadline.remaining_s(), sock_connect=_CONNECT_S)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context, force_close=True),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                ) as session,
                session.request(
                    method,
                    self._root + path,
                    data=None if body is None else BytesIO(body),  # bytes would be sent at once
                    headers={
                        "Accept": _JSON,
                        "Accept-Encoding": "identity",
                        "User-Agent": "RadStream",
                    }
                    | authorization
                    | (headers or {}),
                    timeout=timeout,
                    allow_redirects=False,
                ) as response,
            ):
                found = await response.content.read(_MOST_ANSWER_BYTES)
                while len(found) < _MOST_ANSWER_BYTES and not response.content.at_eof():
                    found += await response.content.read(_MOST_ANSWER_BYTES - len(found))
                return _Answer(response.status, found, retry_after_s(response))
        except (aiohttp.ClientConnectorError, aiohttp.ClientSSLError) as error:
            raise DeliveryUnansweredError("no connection came about") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:  # among them the end of time
            raise DeliveryUnansweredError("it did not answer in time", is_sent=True) from error

    def opening(self) -> tuple[ssl.SSLContext | bool, dict[str, str]]:
        """Return the TLS context and the credentials of a request, from their files.

        Raises
        ------
        DeliveryUnansweredError
        """
        destination = self._destination
        context: ssl.SSLContext | bool = True
        if destination.url.startswith("https://"):
            context = client_context(destination.tls or DestinationTls())
        if destination.bearer_file is not None:
            return context, {"Authorization": f"Bearer {secret_in(destination.bearer_file)}"}
        if destination.basic is not None:
            password = secret_in(destination.basic.password_file)
            pair = base64.b64encode(f"{destination.basic.user}:{password}".encode()).decode()
            return context, {"Authorization": f"Basic {pair}"}
        return context, {}


def _error(
    reason: str, answer: _Answer, *, passes: bool
) -> DeliveryRefusedError | DeliveryUnansweredError:
    if not passes:
        return DeliveryRefusedError(reason)
    return DeliveryUnansweredError(reason, is_sent=True, retry_after_s=answer.retry_after_s)
