"""Heads that two servers could read differently, told from those that are only rare."""

import pytest

from gateway.http.protocol.request_smuggling import ambiguity

HOST = (b"host", b"localhost:8080")


@pytest.mark.parametrize(
    ("target", "version", "headers"),
    [
        (b"/", "1.1", [HOST]),
        (b"*", "1.1", [HOST]),
        (b"/", "1.0", []),
        (b"/", "1.1", [(b"host", b"")]),
        (b"/", "1.1", [(b"host", b"[::1]:8080")]),
        (b"/", "1.1", [(b"host", b"gateway_1.radstream.svc")]),
        (b"http://localhost:8080/livez", "1.1", [HOST]),
        (b"/http://other/", "1.1", [HOST]),
        (b"/", "1.1", [HOST, (b"transfer-encoding", b"Chunked")]),
    ],
)
def test_what_has_one_meaning_is_taken(
    target: bytes, version: str, headers: list[tuple[bytes, bytes]]
):
    assert ambiguity(target, version, headers) is None


@pytest.mark.parametrize(
    ("target", "headers", "reason"),
    [
        (b"/", [], "The request must have one Host."),
        (b"/", [HOST, HOST], "The request must have one Host."),
        (b"/", [(b"host", b"user@localhost")], "The request's Host is no host."),
        (b"/", [(b"host", b"[::1")], "The request's Host is no host."),
        (b"http://other/", [HOST], "The request's target and its Host differ."),
        (b"localhost:8080", [HOST], "The request's target and its Host differ."),
        (
            b"/",
            [HOST, (b"transfer-encoding", b"gzip, chunked")],
            "The only Transfer-Encoding taken is chunked.",
        ),
        (
            b"/",
            [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
            "The only Transfer-Encoding taken is chunked.",
        ),
    ],
)
def test_what_has_two_meanings_is_not(
    target: bytes, headers: list[tuple[bytes, bytes]], reason: str
):
    assert ambiguity(target, "1.1", headers) == reason
