"""Media types that a retrieval accepts, with DICOM's transfer syntaxes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.dicomweb.media_types import RELATED, quality_of

if TYPE_CHECKING:
    from starlette.datastructures import Headers

ANY = "*/*"
_ITEM = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*")+')
_PARAMETER = re.compile(r';\s*([\w-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^;]*))')
_MOST = 32


@dataclass(frozen=True, slots=True)
class AcceptedType:
    """A media range of a request.

    Parameters
    ----------
    media_type
        Of a part where it is `multipart/related`.
    is_related
        True if the answer may be `multipart/related`.
    is_single
        True if the answer may have no parts.
    transfer_syntax
        UID, `*` for any, or None where none is named.
    weight
        Its quality, above 0.
    """

    media_type: str
    is_related: bool
    is_single: bool
    transfer_syntax: str | None
    weight: float

    def takes(self, media_type: str) -> bool:
        """Return whether a media type is in the range."""
        group = media_type.partition("/")[0]
        return self.media_type in {ANY, f"{group}/*", media_type}


def accepted_types(headers: Headers) -> list[AcceptedType]:
    """Return what a request accepts, the preferred ones first; without Accept, all.

    References
    ----------
    RFC 9110, section 12.5.1; PS3.18, 8.7.3 and 8.7.8.
    """
    items = _ITEM.findall(",".join(headers.getlist("accept")))[:_MOST]
    found = [each for each in map(_accepted, items) if each is not None]
    if not any(item.strip() for item in items):
        found = [
            AcceptedType(ANY, is_related=True, is_single=False, transfer_syntax=None, weight=1)
        ]
    return sorted(found, key=lambda each: each.weight, reverse=True)


def _accepted(item: str) -> AcceptedType | None:
    media_type = item.partition(";")[0].strip().lower()
    parameters = {
        name.lower(): (quoted or plain).strip() for name, quoted, plain in _PARAMETER.findall(item)
    }
    weight = quality_of(parameters.get("q", "1"))
    if not media_type or weight <= 0:
        return None
    is_related = media_type == RELATED
    if is_related:
        media_type = parameters.get("type", ANY).lower()
    is_any = media_type == ANY and not is_related
    return AcceptedType(
        media_type,
        is_related=is_related or is_any,
        is_single=not is_related and not is_any,
        transfer_syntax=parameters.get("transfer-syntax"),
        weight=weight,
    )
