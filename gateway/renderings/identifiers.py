"""Identifiers of rendered objects, derived from what they tell of.

A rendering that is made again has the identifiers it had before, so that a receiver knows it for
the same object.
"""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("6d0c5b0e-8f0a-4a58-9a6e-3f1d1c0b7f52")


def derived_uuid(*parts: str) -> uuid.UUID:
    """Return a UUID (version 5) that is always the same for the same parts.

    Parameters
    ----------
    parts
        Names of what the object tells of, from the general to the particular.
    """
    return uuid.uuid5(_NAMESPACE, "\0".join(parts))


def derived_uid(*parts: str) -> str:
    """Return a DICOM UID that is always the same for the same parts.

    References
    ----------
    DICOM PS3.5, B.2: a UUID as a decimal number under the root 2.25.
    """
    return f"2.25.{derived_uuid(*parts).int}"


def changes_before(corrections: int = 0, deletions: int = 0) -> tuple[str, ...]:
    """Return what the UIDs of objects are derived from besides: changes of the study before them.

    Parameters
    ----------
    corrections
        Number of corrections of its identity.
    deletions
        Number of its deletions on request, after which it came again.
    """
    found = (("correction", corrections), ("deletion", deletions))
    return tuple(f"{name} {number}" for name, number in found if number)
