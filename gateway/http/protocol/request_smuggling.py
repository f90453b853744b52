"""Request heads that two servers could read differently: what request smuggling is made of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httptools

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Header = tuple[bytes, bytes]

# RFC 3986, section 3.2: host and port; a request's Host has no user in it.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(:[0-9]{0,5})?")


def ambiguity(target: bytes, version: str, headers: Sequence[Header]) -> str | None:
    """Return what is ambiguous in a request's head, as a sentence for its sender, or None.

    Parameters
    ----------
    target
        As in the request's line.
    version
        Of HTTP, such as ``"1.1"``.
    headers
        With names in lower case.

    References
    ----------
    RFC 9112, section 3.2 (one Host), section 3.2.2 (the absolute form names the host too) and
    section 6.1 (a transfer coding that is not understood).
    """
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (not hosts and version != "1.0"):
        return "The request must have one Host."
    if not all(map(_HOST.fullmatch, hosts)):
        return "The request's Host is no host."
    if not target.startswith((b"/", b"*")) and target.split(b"/")[2:3] != hosts:
        return "The request's target and its Host differ."
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if codings not in ([], [b"chunked"]):
        return "The only Transfer-Encoding taken is chunked."
    return None


class NeverUpgrading:
    """httptools' parser of requests, passing over ``Upgrade`` as if it were not there.

    httptools takes what follows such a head for another protocol's, so that the request's body
    would be lost, or be read as the next request. A server that goes on with HTTP/1.1 reads it as
    what it is (RFC 9110, section 7.8). Java's own client asks for HTTP/2 in this way.

    Parameters
    ----------
    callbacks
        The protocol that is told.
    head
        Its current head: method, target, version and headers.
    """

    def __init__(
        self, callbacks: object, head: Callable[[], tuple[bytes, bytes, str, Sequence[Header]]]
    ) -> None:
        self._callbacks = callbacks
        self._head = head
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was parsed: a request begins with the next byte."""
        self._parser = httptools.HttpRequestParser(self._callbacks)
        # As uvicorn has it: what follows a request that closes the connection is no fault of it.
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.should_upgrade = self._parser.should_upgrade
        self.should_keep_alive = self._parser.should_keep_alive
        self.get_method = self._parser.get_method
        self.get_http_version = self._parser.get_http_version

    def feed_data(self, data: bytes) -> None:
        """Parse more of the connection.

        Raises
        ------
        httptools.HttpParserError
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            method, target, version, headers = self._head()
            lines = [b"%s %s HTTP/%s" % (method, target, version.encode())]
            lines += [name + b": " + value for name, value in headers if name != b"upgrade"]
            self.begin_anew()
            self.feed_data(b"\r\n".join([*lines, b"", b""]) + data[upgrade.args[0] :])
