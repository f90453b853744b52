"""Signatures of pages, and the keys they are made and checked with."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.acceptance.signature import SignatureKeyError, is_valid, signed


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return written(tmp_path / "key.pem", Ed25519PrivateKey.generate())


def written(path: Path, key: Ed25519PrivateKey | rsa.RSAPrivateKey) -> Path:
    """The key, and its public half beside it."""
    path.write_bytes(
        key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    path.with_suffix(".pub").write_bytes(
        key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo)
    )
    return path


def test_a_page_is_as_it_was_signed_by_either_half_of_the_key(key: Path):
    signature = signed(b"page", key)
    assert len(signature) == 64
    for half in (key, key.with_suffix(".pub")):
        assert is_valid(b"page", signature, half)
        assert not is_valid(b"other", signature, half)
        assert not is_valid(b"page", b"short", half)


def test_what_is_no_such_key_is_told(key: Path, tmp_path: Path):
    with pytest.raises(SignatureKeyError, match="public key"):
        signed(b"page", key.with_suffix(".pub"))
    with pytest.raises(SignatureKeyError, match="another kind"):
        signed(b"", written(tmp_path / "rsa.pem", rsa.generate_private_key(65537, 2048)))
    with pytest.raises(SignatureKeyError, match="cannot be read"):
        signed(b"", tmp_path / "none.pem")
    (tmp_path / "text.pem").write_text("no key")
    with pytest.raises(SignatureKeyError, match="no key in PEM"):
        signed(b"", tmp_path / "text.pem")
