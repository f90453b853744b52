"""Rules for an object's key: names that both a folder and S3 can hold.

Not pathvalidate: it knows what file systems take as names, and neither S3's limits nor that no two
keys may mean one object.
"""

from __future__ import annotations

from gateway.errors import InvalidKeyError

KEY_BYTES = 1024  # S3's limit
_SEGMENT_BYTES = 255  # NAME_MAX of ext4, xfs and tmpfs


def split_key(key: str) -> list[str]:
    """Return the parts of a key between its slashes.

    Raises
    ------
    InvalidKeyError
        Some store could not hold the key, or would read a part of it as a way out of its root.
    """
    if not 1 <= len(_utf8(key)) <= KEY_BYTES:
        raise InvalidKeyError("a key has 1 to 1024 bytes")
    segments = key.split("/")
    for segment in segments:
        if not segment or segment.startswith(".") or "\0" in segment:
            raise InvalidKeyError("no part of a key may be empty, begin with a dot or hold NUL")
        if len(_utf8(segment)) > _SEGMENT_BYTES:
            raise InvalidKeyError(f"no part of a key may be longer than {_SEGMENT_BYTES} bytes")
    return segments


def split_prefix(prefix: str) -> list[str]:
    """Return the parts of a prefix before its last slash, if it has one; see `split_key`."""
    folder, slash, _ = prefix.rpartition("/")
    return split_key(folder) if slash else []


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidKeyError("a key is UTF-8, which has no lone surrogates") from error
