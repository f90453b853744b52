"""The options and the HTTP client of the commands that call a running gateway."""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.settings import CLIENT_KEY, DELIMITER, PREFIX, HttpSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HTTP = f"{PREFIX}HTTP{DELIMITER}"
_ATTEMPTS = 8
# The gateway's own advice is followed, up to this.
_LONGEST_WAIT_S = 10.0

api_key_option = click.option(
    "--api-key",
    envvar=CLIENT_KEY,
    help=f"API key to send, if the gateway requires one. Better set as {CLIENT_KEY}: other "
    "users of the machine see a command's options.",
)


def url_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option `--url`, by default the address of this machine's gateway by its settings."""
    return click.option(
        "--url",
        default=lambda: default_url(),  # noqa: PLW0108 - read when it is asked
        help=f"Address of the gateway; by default that of {_HTTP}HOST, {_HTTP}PORT and "
        f"{_HTTP}TLS_CERTIFICATE.",
    )(command)


def default_url(environment: Mapping[str, str] = os.environ) -> str:
    """Return where a gateway of these variables is reached from this machine.

    Raises
    ------
    click.UsageError
        The settings leave its port to chance.
    """
    settings = _http_settings(environment)
    host, port = _host(settings), settings.get("PORT", str(HttpSettings().port))
    if not port.isdecimal() or port == "0":
        raise click.UsageError(f"{_HTTP}PORT is {port}, so give --url: the gateway has told it")
    scheme = "https" if settings.get("TLS_CERTIFICATE") else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _http_settings(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name.upper().removeprefix(_HTTP): value  # in any case, as for the gateway
        for name, value in environment.items()
        if name.upper().startswith(_HTTP)
    }


def _host(settings: Mapping[str, str]) -> str:
    host = settings.get("HOST", HttpSettings().host).lower()
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not listened on


def gateway_client(url: str, api_key: str | None) -> httpx.Client:
    """Return a client of the gateway, to be closed, that passes by the environment's proxies.

    Raises
    ------
    click.ClickException
        The certificate that the settings name cannot be read.
    """
    headers = {"X-API-Key": api_key} if api_key else None
    return httpx.Client(
        base_url=url, timeout=60.0, trust_env=False, headers=headers, verify=trusted_at(url)
    )


def trusted_at(url: str, environment: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """Return the TLS of a client that trusts this machine's authorities, and at its own gateway.

    There the certificate of the settings is what counts, whoever signed it and whatever name it
    has: it is compared itself.

    Raises
    ------
    click.ClickException
        It cannot be read.
    """
    settings = _http_settings(environment)
    path = settings.get("TLS_CERTIFICATE")
    if path and _is_own(httpx.URL(url), settings):
        return _trusting(Path(path))
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


def _trusting(certificate: Path) -> ssl.SSLContext:
    try:
        [own, *_] = x509.load_pem_x509_certificates(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise click.ClickException(
            f"{_HTTP}TLS_CERTIFICATE {certificate} cannot be read"
        ) from error
    # No authority counts beside it: with names unchecked, whatever one has signed would do.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=own.public_bytes(Encoding.DER))
    return context


def _is_own(url: httpx.URL, settings: Mapping[str, str]) -> bool:
    """Return True if the gateway of the settings speaks TLS at an address."""
    own, port = _host(settings), settings.get("PORT", str(HttpSettings().port))
    hosts = {own, "localhost"} if own in {"127.0.0.1", "::1"} else {own}
    # A port that is left to chance may be any.
    return url.scheme == "https" and url.host in hosts and port in {"0", str(url.port or 443)}


def ask(client: httpx.Client, method: str, path: str, **content: Any) -> httpx.Response:
    """Return the answer; end the command with the problem, if it is one.

    Parameters
    ----------
    content
        Arguments of httpx for the request.
    """
    try:
        response = client.request(method, path, **content)
    except httpx.TransportError as error:
        raise click.ClickException(f"{client.base_url} does not answer: {error}") from error
    if response.is_success:
        return response
    try:
        told = problem_text(response.json())
    except (ValueError, KeyError):  # something else answers there
        told = f"{client.base_url} answers {response.status_code}"
    raise click.ClickException(told)


def problem_text(problem: Mapping[str, Any]) -> str:
    """Return a problem as text for a person, each of its errors on a line of its own."""
    lines = [f"{problem['title']}. {problem['detail']}"]
    lines += [f"  {each['pointer']} {each['detail']}" for each in problem.get("errors", ())]
    return "\n".join(lines)


def ask_patiently(client: httpx.Client, method: str, path: str, **content: Any) -> httpx.Response:
    """Return the answer, whatever it is; where the gateway is busy, the request comes again.

    Parameters
    ----------
    content
        Arguments of httpx for the request, which must be safe to repeat.

    Raises
    ------
    httpx.TransportError
    """
    for _ in range(_ATTEMPTS - 1):
        response = client.request(method, path, **content)
        wait_s = response.headers.get("retry-after", "")
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or not wait_s.isdecimal():
            return response
        time.sleep(min(float(wait_s), _LONGEST_WAIT_S))
    return client.request(method, path, **content)
