"""Ed25519 signatures (RFC 8032) of pages, in files beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

if TYPE_CHECKING:
    from pathlib import Path

_PRIVATE = b"PRIVATE KEY-----"


class SignatureKeyError(Exception):
    """The file has no Ed25519 key, or none that can do what it is needed for."""


def signed(data: bytes, key_file: Path) -> bytes:
    """Return the signature of a page, 64 bytes.

    Raises
    ------
    SignatureKeyError
        The file has no private key.
    """
    key = _key(key_file)
    if isinstance(key, Ed25519PublicKey):
        raise SignatureKeyError(f"{key_file} has a public key: to sign takes the private one")
    return key.sign(data)


def is_valid(data: bytes, signature: bytes, key_file: Path) -> bool:
    """Return True if the signature is this key's of these bytes.

    Raises
    ------
    SignatureKeyError
    """
    key = _key(key_file)
    public = key if isinstance(key, Ed25519PublicKey) else key.public_key()
    try:
        public.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def signature_file(page: Path) -> Path:
    """Return the file that has a page's signature."""
    return page.with_name(f"{page.name}.sig")


def _key(key_file: Path) -> Ed25519PrivateKey | Ed25519PublicKey:
    try:
        pem = key_file.read_bytes()
        key = load_pem_private_key(pem, None) if _PRIVATE in pem else load_pem_public_key(pem)
    except OSError as error:
        raise SignatureKeyError(f"{key_file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SignatureKeyError(f"{key_file} has no key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey | Ed25519PublicKey):
        raise SignatureKeyError(f"{key_file} has a key of another kind than Ed25519")
    return key
