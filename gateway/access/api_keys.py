"""API keys: how they are made, kept and known again.

A key looks like ``radstream_<id>_<secret><checksum>``. The id finds its entry, the secret of 190
random bits proves it, and the checksum lets a secret scanner tell a key from what only looks like
one. Kept is the SHA-256 of the whole. A slow hash guards what people choose; no search finds 190
bits, so that it would add nothing but work that an attacker could ask for.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from typing import TYPE_CHECKING, Annotated

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
)

from gateway.access.callers import Caller, CallerKind, Scope
from gateway.errors import CredentialsInvalidError, Refusal
from gateway.schemas.patterns import CALLER_PATTERN
from gateway.schemas.validation_faults import sentence

if TYPE_CHECKING:
    import datetime as dt

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_ID_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 10, 32, 6  # 62**6 is more than 2**32
_KEY = re.compile(r"radstream_([0-9A-Za-z]{10})_([0-9A-Za-z]{38})")
_NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()


class KeyFileError(Exception):
    """The document is no set of keys; the message says why, and quotes nothing of it."""


class KeyEntry(BaseModel):
    """One key, without its secret.

    Two keys may have one name: the old and the new one of a caller, while they are changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z]{10}$")]
    name: Annotated[str, StringConstraints(pattern=CALLER_PATTERN)]
    scopes: frozenset[Scope] = Field(min_length=1)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None


class KeyDocument(BaseModel):
    """The keys that are active, as they stand in the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: tuple[KeyEntry, ...] = ()

    @field_validator("keys")
    @classmethod
    def _have_ids_of_their_own(cls, keys: tuple[KeyEntry, ...]) -> tuple[KeyEntry, ...]:
        if len({key.id for key in keys}) != len(keys):
            raise ValueError("two keys have the same id")
        return keys


class KeyRing:
    """Authenticator of callers by their API keys.

    Parameters
    ----------
    document
        The keys that are active.
    """

    def __init__(self, document: KeyDocument) -> None:
        self._entries = {entry.id: entry for entry in document.keys}

    def __len__(self) -> int:
        return len(self._entries)

    def caller(self, key: str, now: dt.datetime) -> Caller:
        """Return the caller whose key this is, in a time that tells nothing of the keys kept.

        Raises
        ------
        CredentialsInvalidError
        """
        parts = _KEY.fullmatch(key)
        if parts is None or not _has_checksum(key):
            raise CredentialsInvalidError(Refusal.MALFORMED)
        entry = self._entries.get(parts[1])
        # An unknown id costs the same comparison as a known one.
        proven = hmac.compare_digest(_hash(key), entry.sha256 if entry else _NOBODY)
        if entry is None or not proven:
            raise CredentialsInvalidError(Refusal.UNKNOWN_KEY)
        return _holder(entry, now)

    def holder(self, key_id: str, now: dt.datetime) -> Caller:
        """Return the caller who has proved before to have the key of this id.

        Raises
        ------
        CredentialsInvalidError
            The key was revoked, or has expired.
        """
        entry = self._entries.get(key_id)
        if entry is None:
            raise CredentialsInvalidError(Refusal.UNKNOWN_KEY)
        return _holder(entry, now)

    def expiries(self) -> dict[str, dt.datetime]:
        """Return the time at which each key expires, by id; keys that never do are left out."""
        return {entry.id: entry.expires_at for entry in self._entries.values() if entry.expires_at}


def key_id(key: str) -> str:
    """Return the id of a key that is well formed."""
    return key.split("_")[1]


def _holder(entry: KeyEntry, now: dt.datetime) -> Caller:
    if entry.expires_at is not None and entry.expires_at <= now:
        raise CredentialsInvalidError(Refusal.EXPIRED_KEY)
    return Caller(entry.name, entry.scopes, CallerKind.KEY)


def parse(data: bytes) -> KeyDocument:
    """Return the keys that a file holds.

    Raises
    ------
    KeyFileError
    """
    try:
        return KeyDocument.model_validate_json(data)
    except ValidationError as error:
        [first, *_] = error.errors(include_input=False)
        place = "/".join(str(step) for step in first["loc"])
        raise KeyFileError(f"/{place}: {sentence(first)}") from error


def make_key(
    name: str, scopes: frozenset[Scope], *, now: dt.datetime, expires_at: dt.datetime | None
) -> tuple[str, KeyEntry]:
    """Return a new key, to be shown once, and its entry, to be kept."""
    body = f"radstream_{_random(_ID_LENGTH)}_{_random(_SECRET_LENGTH)}"
    key = body + _checksum(body)
    entry = KeyEntry(
        id=key_id(key),
        name=name,
        scopes=scopes,
        sha256=_hash(key),
        created_at=now,
        expires_at=expires_at,
    )
    return key, entry


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _has_checksum(key: str) -> bool:
    return _checksum(key[:-_CHECKSUM_LENGTH]) == key[-_CHECKSUM_LENGTH:]


def _checksum(body: str) -> str:
    """Return CRC-32 of the text in base 62, six digits, as GitHub's tokens carry it."""
    rest = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        rest, digit = divmod(rest, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
