"""POSTs to addresses that a sender chose: checked, pinned, bounded, never followed elsewhere."""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING

import httpx

from gateway.errors import CallbackUnansweredError, InvalidCallbackError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_Address = IPv4Address | IPv6Address

# RFC 6052, section 2.1: the last 32 bits are an IPv4 address that a translator goes on to.
_NAT64 = IPv6Network("64:ff9b::/96")
_HTTPS = 443


class Webhook:
    """Sends to one address that was checked, whatever DNS says a moment later.

    Parameters
    ----------
    client
        Of `webhook_client`.
    private_addresses
        Whether hosts on private and loopback addresses may be called. Link-local ones never are:
        clouds keep credentials there.
    timeout_s
        Seconds that a call may take, from the look-up of the name on.
    """

    def __init__(
        self, client: httpx.AsyncClient, *, private_addresses: bool, timeout_s: float
    ) -> None:
        self._client = client
        self._private_addresses = private_addresses
        self._timeout_s = timeout_s

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send the body; return once a status of 2xx was answered. The answer's body is not read.

        Raises
        ------
        InvalidCallbackError
            The host has an address that may not be called.
        CallbackUnansweredError
            No such answer came in time.
        """
        target = httpx.URL(url)
        try:
            async with asyncio.timeout(self._timeout_s):
                address = await self._address(target.host, target.port or _HTTPS)
                status = await self._send(target, address, body, headers)
        except TimeoutError as error:
            raise CallbackUnansweredError("it took too long") from error
        except (httpx.HTTPError, OSError) as error:
            raise CallbackUnansweredError(type(error).__name__) from error
        if not httpx.codes.is_success(status):
            raise CallbackUnansweredError(f"its status was {status}")

    async def _send(
        self, target: httpx.URL, address: _Address, body: bytes, headers: Mapping[str, str]
    ) -> int:
        request = self._client.build_request(
            "POST",
            target.copy_with(host=str(address)),
            content=body,
            headers={"Host": target.netloc.decode(), **headers},
            # The name that the certificate is held to.
            extensions={"sni_hostname": target.host},
        )
        response = await self._client.send(request, stream=True)
        await response.aclose()
        return response.status_code

    async def _address(self, host: str, port: int) -> _Address:
        """The host's first address, once all of them have been found to be fit."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        if not all(is_fit(address, private=self._private_addresses) for address in addresses):
            raise InvalidCallbackError("its host is on an address that is not called from here")
        return addresses[0]


def is_fit(address: _Address, *, private: bool) -> bool:
    """Whether the address, and one that it stands for, may be called."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address.teredo is not None:
            return False
        if address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_fit(inner, private=private)
    if address.is_multicast or address.is_link_local or address.is_unspecified:
        return False
    return address.is_global or (private and (address.is_private or address.is_loopback))


@asynccontextmanager
async def webhook_client(ca_file: Path | None) -> AsyncIterator[httpx.AsyncClient]:
    """A client that trusts these authorities, or the system's; open until the block ends.

    It keeps no connection: one that was proven to be one host's must not serve another.
    """
    context = ssl.create_default_context(cafile=ca_file)
    async with httpx.AsyncClient(
        verify=context,
        trust_env=False,
        follow_redirects=False,
        timeout=None,  # noqa: S113 - every call is bounded as a whole
        limits=httpx.Limits(max_keepalive_connections=0),
    ) as client:
        yield client
