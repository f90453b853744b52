"""Sessions of the console, kept in an encrypted cookie and nowhere else.

Not Starlette's SessionMiddleware: it signs and does not encrypt, and knows one key only.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import TypeAdapter

from gateway.access.identity_provider import Person, SignInAttempt

if TYPE_CHECKING:
    from collections.abc import Sequence

COOKIE = "radstream_session"
LIFETIME_S = 8 * 3600
ATTEMPT_COOKIE = "radstream_sign_in"
ATTEMPT_LIFETIME_S = 600


@dataclass(frozen=True, slots=True)
class Session:
    """A person who has signed in.

    Parameters
    ----------
    key_id
        Id of the API key; its secret is not kept. None of a person whom the provider signed in.
    person
        That person; no token is kept.
    csrf
        Token that every form of the session carries.
    """

    key_id: str | None = None
    person: Person | None = None
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))


_SESSION = TypeAdapter(Session)
_ATTEMPT = TypeAdapter(SignInAttempt)


class Sessions:
    """Encryption of sessions.

    Parameters
    ----------
    keys
        Each 32 bytes in URL-safe base64; the first one writes. Without any, one that ends with the
        process.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._keys = MultiFernet([Fernet(key) for key in keys or [Fernet.generate_key().decode()]])

    def seal(self, session: Session) -> str:
        """Return the value of the session's cookie."""
        return self._keys.encrypt(_SESSION.dump_json(session)).decode()

    def open(self, cookie: str) -> Session | None:
        """Return the session; None where it has ended, or was not made here."""
        try:
            session = _SESSION.validate_json(self._keys.decrypt(cookie, ttl=LIFETIME_S))
        except (InvalidToken, ValueError):
            return None
        return None if session.key_id is None and session.person is None else session

    def seal_attempt(self, attempt: SignInAttempt) -> str:
        """Return the value of the cookie that keeps a sign-in until the provider answers."""
        return self._keys.encrypt(_ATTEMPT.dump_json(attempt)).decode()

    def open_attempt(self, cookie: str) -> SignInAttempt | None:
        """Return the sign-in; None where it took too long, or was not begun here."""
        try:
            return _ATTEMPT.validate_json(self._keys.decrypt(cookie, ttl=ATTEMPT_LIFETIME_S))
        except (InvalidToken, ValueError):
            return None
