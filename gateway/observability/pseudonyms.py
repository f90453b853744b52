"""Names that stand for a study_id, or a text that may hold one, where it must not be read.

All are made here, so that one page tells what each gives away. It stands beside the log, the widest
of the places that they protect, and not with the store's keys, which are only some of those places.

`Pseudonyms.study_ref`
    In the log, traces and telemetry, which leave the store: keyed, so that without the key no
    suspected id can be tried.
`Pseudonyms.patient_ref`
    In the audit trail, for a Patient ID: keyed by the same secret, and no study's.
`Pseudonyms.image_ref`, `Pseudonyms.device_ref`
    In telemetry, for an image by its bytes and for the device that made it: keyed by the same
    secret. A device has none where the key does not outlive the process.
`key_reference`
    In keys of the store and ids of parked items, for a study_id, an object's name or a key. Without
    a key of its own: every gateway finds the same object, whatever its settings, for years. Ten of
    its digits leave the store, in the Transaction UIDs by which archives are asked for storage
    commitment: an archive, which has the study anyway, or its log can be tried for a suspected id.
`study_digest`
    In a document that outlives its study. Without a key for the same reason.

Who may list or read the store can try ids on the last two, and reads the ids of all studies that
are there anyway.
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import secrets

KEY_FILE = "study-ref.key"
"""File of the spool's folder that has the key of telemetry in files, where none is set."""
_DIGITS = 32


class Pseudonyms:
    """Names for studies that may leave the store: keyed hashes, the same for the same study.

    Parameters
    ----------
    key
        The secret; None takes a random one, so that names hold until the process ends.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key.encode() if key is not None else secrets.token_bytes(32)
        self._lasts = key is not None

    def of_tenant(self, tenant: str | None) -> Pseudonyms:
        """Return the names for a tenant's studies: other ones for a study_id that others use too.

        Parameters
        ----------
        tenant
            Name of the tenant; None returns these.
        """
        if tenant is None:
            return self
        part = copy.copy(self)
        secret = hmac.new(self._key, f"tenant\0{tenant}".encode(), hashlib.sha256).digest()
        part._key = secret  # noqa: SLF001 - a copy of its own
        return part

    def study_ref(self, study_id: str) -> str:
        """Return 32 hexadecimal digits of HMAC-SHA-256 (RFC 2104)."""
        return self._hash(study_id)

    def patient_ref(self, patient_id: str) -> str:
        """Return 32 hexadecimal digits of HMAC-SHA-256 for a Patient ID (0010,0020)."""
        return self._hash(f"patient\0{patient_id}")

    def image_ref(self, sha256: str) -> str:
        """Return 32 hexadecimal digits of HMAC-SHA-256 for an image with such a SHA-256."""
        return self._hash(f"image\0{sha256}")

    def device_ref(self, device: str | None) -> str | None:
        """Return 32 hexadecimal digits of HMAC-SHA-256 for a device; None if it would not last."""
        return self._hash(f"device\0{device}") if device and self._lasts else None

    def _hash(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()[:_DIGITS]


def key_reference(text: str) -> str:
    """Return 32 hexadecimal digits of SHA-256; the text may be a file's name that is no UTF-8."""
    return study_digest(text)[:_DIGITS]


def study_digest(study_id: str) -> str:
    """Return the 64 hexadecimal digits of SHA-256."""
    return hashlib.sha256(study_id.encode(errors="surrogatepass")).hexdigest()
