"""Signed requests to webhooks: addresses checked and pinned, bounded, never followed elsewhere.

Over aiohttp, which S3's library needs in any case. httpx pins an address in fewer lines (its
extension `sni_hostname`), but leaves the socket open of a handshake that runs out of time.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.delivery.retry_after import retry_after_s
from gateway.errors import CallbackUnansweredError, InvalidCallbackError

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping

_Address = IPv4Address | IPv6Address

# RFC 6052, section 2.1: the last 32 bits are an IPv4 address that a translator goes on to.
_NAT64 = IPv6Network("64:ff9b::/96")
# All else is reserved or stands for something, such as ::/96 and 64:ff9b:1::/48 for IPv4 (RFC 4291,
# section 2.4; RFC 4193).
_GLOBAL_UNICAST, _UNIQUE_LOCAL = IPv6Network("2000::/3"), IPv6Network("fc00::/7")
# Where AWS keeps credentials for those who speak IPv6.
_CLOUD = IPv6Network("fd00:ec2::/32")


SIGNATURE_HEADER = "RadStream-Signature"
DELIVERY_HEADER = "RadStream-Delivery"


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of the signature header.

    Parameters
    ----------
    timestamp
        Seconds since 1970 (UTC), signed too, so that a receiver can refuse what is old.
    """
    signed = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def signed_headers(secret: str, delivery: str, body: bytes) -> dict[str, str]:
    """Return the header fields of a notice that is sent now.

    Parameters
    ----------
    delivery
        The same in every repetition, to tell them by.
    """
    return {
        "Content-Type": "application/json",
        "User-Agent": "RadStream",
        DELIVERY_HEADER: delivery,
        SIGNATURE_HEADER: signature(secret, int(time.time()), body),
    }


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The answer of a webhook, less its body."""

    status: int
    retry_after_s: float | None

    @property
    def is_success(self) -> bool:
        """Return True if the status says so (RFC 9110, 15.3)."""
        return 200 <= self.status < 300  # noqa: PLR2004 - as it says


class Webhook:
    """A client of one address that was checked, whatever DNS says a moment later.

    Parameters
    ----------
    session
        Of `webhooks`.
    private_addresses
        As there.
    timeout_s
        Seconds that a call may take, from the look-up of the name on.
    """

    def __init__(
        self, session: aiohttp.ClientSession, *, private_addresses: bool, timeout_s: float
    ) -> None:
        self._session = session
        self._private_addresses = private_addresses
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send the body; return once a status of 2xx was answered.

        Raises
        ------
        InvalidCallbackError, CallbackUnansweredError
            See `ask`; the latter of another status, too.
        """
        answer = await self.ask("POST", url, body, headers)
        if not answer.is_success:
            raise CallbackUnansweredError(f"its status was {answer.status}")

    async def ask(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> WebhookAnswer:
        """Return the answer to a request. Its body is not read.

        Raises
        ------
        InvalidCallbackError
            The host has an address that may not be called.
        CallbackUnansweredError
            None came in time. Its cause is an `aiohttp.ClientConnectorError` where nothing was
            sent.
        """
        target = URL(url)
        with suppress(ValueError):  # a name, which the resolver checks
            _check([ip_address(target.host or "")], private=self._private_addresses)
        try:
            async with self._session.request(
                method,
                target,
                data=body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                return WebhookAnswer(response.status, retry_after_s(response))
        except (aiohttp.ClientError, OSError) as error:  # among them what ends the time
            raise CallbackUnansweredError(type(error).__name__) from error


class _CheckedResolver(AbstractResolver):
    """A resolver that gives one address of a name, once all of its addresses were checked."""

    def __init__(self, *, private: bool) -> None:
        self._private = private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """See `AbstractResolver.resolve`; asked once for each connection."""
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, family=family
        )
        addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        _check(addresses, private=self._private)
        return [
            ResolveResult(
                hostname=host,
                host=str(addresses[0]),
                port=port,
                family=found[0][0],
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Do nothing: no connection is open."""


def _check(addresses: list[_Address], *, private: bool) -> None:
    if not all(is_fit(address, private=private) for address in addresses):
        raise InvalidCallbackError("its host is on an address that is not called from here")


def is_fit(address: _Address, *, private: bool) -> bool:
    """Return True if the address, and any IPv4 address that it stands for, may be called."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            return False
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_fit(inner, private=private)
        own = address.is_loopback or address in _UNIQUE_LOCAL
        if address in _CLOUD or not (own or address in _GLOBAL_UNICAST):
            return False
    if address.is_multicast or address.is_link_local or address.is_unspecified:
        return False
    return address.is_global or (private and (address.is_private or address.is_loopback))


@asynccontextmanager
async def webhooks(
    *, context: ssl.SSLContext, private_addresses: bool, timeout_s: float
) -> AsyncIterator[Webhook]:
    """Yield the client that posts webhooks, until the block ends.

    It keeps no connection, no cookie and no address, and asks no proxy.

    Parameters
    ----------
    context
        Has the authorities that it trusts.
    private_addresses
        True to allow hosts on private and loopback addresses. Link-local ones are never called:
        clouds keep credentials there.
    timeout_s
        Seconds that a call may take.
    """
    connector = aiohttp.TCPConnector(
        ssl=context,
        resolver=_CheckedResolver(private=private_addresses),
        use_dns_cache=False,
        force_close=True,
        limit=0,
    )
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        yield Webhook(session, private_addresses=private_addresses, timeout_s=timeout_s)
