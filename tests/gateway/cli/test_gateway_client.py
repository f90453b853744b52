"""Commands find the gateway by the settings it listens by, and come again where it is busy."""

import ssl
from pathlib import Path

import click
import httpx
import pytest
import trustme

from gateway.cli.gateway_client import ask, ask_patiently, default_url, trusted_at


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"RADSTREAM_HTTP__PORT": "9090"}, "http://127.0.0.1:9090"),
        ({"radstream_http__port": "9090"}, "http://127.0.0.1:9090"),
        ({"RADSTREAM_HTTP__HOST": "10.1.2.3"}, "http://10.1.2.3:8080"),
        ({"RADSTREAM_HTTP__HOST": "0.0.0.0"}, "http://127.0.0.1:8080"),  # noqa: S104
        ({"RADSTREAM_HTTP__HOST": "::"}, "http://[::1]:8080"),
        ({"RADSTREAM_HTTP__HOST": "Gateway.Example"}, "http://gateway.example:8080"),
        (
            {"RADSTREAM_HTTP__TLS_CERTIFICATE": "/c.pem", "RADSTREAM_HTTP__TLS_KEY": "/k.pem"},
            "https://127.0.0.1:8080",
        ),
    ],
)
def test_the_gateway_is_where_the_settings_say(variables: dict[str, str], url: str):
    assert default_url(variables) == url


def test_a_port_that_is_left_to_chance_has_to_be_given():
    with pytest.raises(click.UsageError, match="give --url"):
        default_url({"RADSTREAM_HTTP__PORT": "0"})


@pytest.mark.parametrize(
    ("busy", "headers", "requests", "status"),
    [
        (2, {"Retry-After": "0"}, 3, 200),
        (99, {"Retry-After": "0"}, 8, 503),
        (99, {}, 1, 503),
    ],
)
def test_a_busy_gateway_is_asked_again(
    busy: int, headers: dict[str, str], requests: int, status: int
):
    asked: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.read())
        return httpx.Response(503, headers=headers) if len(asked) <= busy else httpx.Response(200)

    transport = httpx.MockTransport(answer)
    with httpx.Client(base_url="http://gateway", transport=transport) as client:
        response = ask_patiently(client, "POST", "/v1/studies", json={"study_id": "A"})
    assert (response.status_code, asked) == (status, [b'{"study_id":"A"}'] * requests)


def test_a_problem_ends_the_command_with_each_of_its_errors_on_a_line_of_its_own():
    problem = {
        "type": "urn:radstream:problem:invalid-query",
        "title": "Invalid parameter",
        "status": 422,
        "detail": "Mend what 'errors' lists and ask again.",
        "errors": [
            {"pointer": "query/destination", "detail": "is not among the destinations"},
            {"pointer": "query/rendering", "detail": "is unknown"},
        ],
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(422, json=problem))
    with (
        httpx.Client(base_url="http://gateway", transport=transport) as client,
        pytest.raises(click.ClickException) as caught,
    ):
        ask(client, "POST", "/v1/studies/CXR-1/deliveries")
    assert caught.value.message == (
        "Invalid parameter. Mend what 'errors' lists and ask again.\n"
        "  query/destination is not among the destinations\n"
        "  query/rendering is unknown"
    )


def handshake(client: ssl.SSLContext, shown: trustme.LeafCert, name: str) -> None:
    """Go through the handshake with a server that shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shown.configure_cert(context)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(there, back, server_side=True)
    caller = client.wrap_bio(back, there, server_hostname=name)
    for side in (caller, server, caller, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    caller.do_handshake()


def test_the_certificate_of_the_settings_is_trusted_at_their_gateway_and_no_other(tmp_path: Path):
    authority, path = trustme.CA(), tmp_path / "tls.crt"
    own, other = (authority.issue_cert(name) for name in ("gateway.example", "127.0.0.1"))
    path.write_bytes(b"".join(pem.bytes() for pem in own.cert_chain_pems))
    variables = {
        "RADSTREAM_HTTP__TLS_CERTIFICATE": str(path),
        "RADSTREAM_HTTP__PORT": "8443",
    }
    trusted = trusted_at("https://127.0.0.1:8443", variables)
    handshake(trusted, own, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(trusted, other, "127.0.0.1")  # though the same authority has signed it
    for url, known in (("https://example.org", variables), ("https://127.0.0.1:8443", {})):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(trusted_at(url, known), own, "gateway.example")


@pytest.mark.parametrize(
    ("url", "settings", "is_own"),
    [
        ("https://127.0.0.1:8080", {}, True),
        ("https://localhost:8080", {}, True),
        ("https://localhost:8080", {"HOST": "::"}, True),
        ("https://localhost:8080", {"HOST": "10.1.2.3"}, False),
        ("https://gateway.example:8080", {"HOST": "Gateway.Example"}, True),
        ("https://GATEWAY.example", {"HOST": "gateway.example", "PORT": "443"}, True),
        ("https://[::1]:8080", {"HOST": "::1"}, True),
        ("https://127.0.0.1:39871", {"PORT": "0"}, True),
        ("https://127.0.0.1:8443", {}, False),  # another service of this machine
        ("https://127.0.0.1", {}, False),
    ],
)
def test_the_gateway_of_the_settings_is_known_by_its_address_and_port(
    tmp_path: Path, url: str, settings: dict[str, str], *, is_own: bool
):
    path, own = tmp_path / "tls.crt", trustme.CA().issue_cert("other.example")
    path.write_bytes(own.cert_chain_pems[0].bytes())
    named = {f"RADSTREAM_HTTP__{name}": value for name, value in settings.items()}
    trusted = trusted_at(url, {"RADSTREAM_HTTP__TLS_CERTIFICATE": str(path)} | named)
    assert trusted.check_hostname is not is_own
    if is_own:
        handshake(trusted, own, "127.0.0.1")
    else:  # the authorities of the machine
        assert len(trusted.get_ca_certs()) > 1


def test_a_certificate_of_the_settings_that_cannot_be_read_is_nothing_to_plain_http(tmp_path: Path):
    variables = {"RADSTREAM_HTTP__TLS_CERTIFICATE": str(tmp_path / "none.crt")}
    assert trusted_at("http://127.0.0.1:8080", variables).check_hostname


def test_a_certificate_of_the_settings_that_is_none_is_named(tmp_path: Path):
    for path in (tmp_path / "none.crt", tmp_path / "no.crt"):
        (tmp_path / "no.crt").write_bytes(b"no certificate")
        with pytest.raises(click.ClickException, match=f"TLS_CERTIFICATE {path} cannot be read"):
            trusted_at("https://127.0.0.1:8080", {"RADSTREAM_HTTP__TLS_CERTIFICATE": str(path)})
