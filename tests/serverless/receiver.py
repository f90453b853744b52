"""A small HTTPS server in the gateway's place: keeps what it is sent, answers what it is told."""

import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """What came in, and what is answered next: each script entry once, then 200."""

    url: str
    ca_file: Path
    received: list[Received] = field(default_factory=list)
    script: list[tuple[int, bytes]] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, timeout_s: float = 60) -> list[Received]:
        """The requests, once there are that many."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, timeout_s), (
                f"{len(self.received)} of {count} requests came"
            )
            return list(self.received)

    def answer(self, *statuses: int) -> None:
        """Answers the next requests with these, without a body."""
        self.script.extend((status, b"") for status in statuses)

    def clear(self) -> None:
        """Forgets everything."""
        self.received.clear()
        self.script.clear()


@contextmanager
def receiving(folder: Path) -> Iterator[Receiver]:
    """A receiver on a free port of localhost, under a certificate of the authority in `ca_file`."""
    authority = trustme.CA()
    ca_file = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    receiver = _Handler.receiver = Receiver(f"https://localhost:{server.server_port}", ca_file)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Passes over a client that broke the handshake off; prints anything else."""
        if not isinstance(sys.exception(), ssl.SSLError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it came


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    timeout = 10

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.receiver.arrived:
            status, answer = self.receiver.script.pop(0) if self.receiver.script else (200, b"{}")
            self.receiver.received.append(Received(self.path, dict(self.headers), body))
            self.receiver.arrived.notify_all()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Says nothing."""
