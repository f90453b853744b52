"""Callers with keys, and an issuer of tokens that is a real server."""

import datetime as dt
import http.server
import json
import secrets
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from gateway.access.api_keys import KeyDocument, KeyEntry, make_key
from gateway.access.callers import Scope
from gateway.access.key_file import change_keys

AUDIENCE = "radstream"


def add_key(
    file: Path, name: str, *scopes: Scope, expires_at: dt.datetime | None = None
) -> tuple[str, KeyEntry]:
    """A new key in the file, and its entry there."""
    now = dt.datetime.now(dt.UTC)
    key, entry = make_key(name, frozenset(scopes), now=now, expires_at=expires_at)
    change_keys(file, lambda document: KeyDocument(keys=(*document.keys, entry)))
    return key, entry


def remove_key(file: Path, entry: KeyEntry) -> None:
    """Take a key out of the file."""
    change_keys(file, lambda document: KeyDocument(keys=tuple(set(document.keys) - {entry})))


@dataclass
class Issuer:
    """An OpenID provider: `keys` are what it publishes, and `signer` signs."""

    url: str = ""
    keys: list[Key] = field(default_factory=list)
    extra_entries: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    is_away: bool = False
    discovery: dict[str, Any] | None = None
    jwks: bytes | None = None

    @property
    def signer(self) -> Key:
        """The newest key."""
        return self.keys[-1]

    def rotate(self, kind: str = "EC") -> Key:
        """A new key that is published from now on: RSA, EC or of an OKP curve."""
        parameters = {"kid": secrets.token_hex(4), "use": "sig"}
        key: Key
        if kind == "RSA":
            key = RSAKey.generate_key(2048, parameters)
        elif kind == "EC":
            key = ECKey.generate_key("P-256", parameters)
        else:
            key = OKPKey.generate_key(kind, parameters)
        self.keys.append(key)
        return key

    def leases(self, **changes: Any) -> dict[str, Any]:
        """Of a token that is good for an hour; a change to None leaves the claim out."""
        now = int(time.time())
        leases = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "viewer-7",
            "iat": now,
            "exp": now + 3600,
            "scope": "openid studies:read",
        } | changes
        return {name: value for name, value in leases.items() if value is not None}

    def token(
        self, *, signer: Key | None = None, header: dict[str, Any] | None = None, **changes: Any
    ) -> str:
        """A token of these claims, signed."""
        key = signer or self.signer
        algorithms = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA", "oct": "HS256"}
        algorithm = algorithms[key.key_type]
        head = {"alg": algorithm, "kid": key.kid} | (header or {})
        head = {name: value for name, value in head.items() if value is not None}
        allowed = [head["alg"]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of the name EdDSA
            return jwt.encode(head, self.leases(**changes), key, algorithms=allowed)

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        self.asked.append(path)
        if self.is_away:
            return 503, b""
        if path == "/.well-known/openid-configuration":
            document = self.discovery or {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
            return 200, json.dumps(document).encode()
        if path == "/keys":
            entries = [key.as_dict(private=False) for key in self.keys if not _secret(key)]
            return 200, self.jwks or json.dumps({"keys": entries + self.extra_entries}).encode()
        return 404, b""


def _secret(key: Key) -> bool:
    return isinstance(key, OctKey)


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """An issuer with one key, on a free port."""
    issuer = Issuer()
    issuer.rotate()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = issuer.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
