"""Forms in which a stored instance or its frames can be given away, and which a request gets.

Without a transfer syntax in Accept an instance comes as it is stored: to decompress a lossy one
would only make it larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import ExplicitVRLittleEndian

from gateway.dicomweb.media_types import DICOM
from gateway.errors import NotAcceptableError
from preprocess import transfer_syntaxes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.dicomweb.accepted_types import AcceptedType

OCTETS = "application/octet-stream"
_HTJ2K = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203))
_RLE = "1.2.840.10008.1.2.5"


def frame_type(transfer_syntax: str) -> str:
    """Return the media type of a frame as it is stored (PS3.18, table 8.7.3-5)."""
    if transfer_syntax in transfer_syntaxes.UNCOMPRESSED:
        return OCTETS
    if transfer_syntax == _RLE:
        return "image/dicom-rle"
    if transfer_syntax in _HTJ2K:
        return "image/jphc"
    if transfer_syntax in transfer_syntaxes.JPEG_2000:
        return "image/jp2"
    if transfer_syntax in transfer_syntaxes.JPEG_LS:
        return "image/jls"
    return "image/jpeg"


def choose_instance(
    accepted: Sequence[AcceptedType], stored: str, *, single: bool, is_fixed: bool = False
) -> tuple[AcceptedType, str]:
    """Return the range that an instance is given away by, and in which transfer syntax.

    Parameters
    ----------
    stored
        Its transfer syntax.
    single
        True if the request is for one instance, whose answer may have no parts.
    is_fixed
        True of an instance that has one form: a compression that is asked for is that of the others
        of its study, and it comes as it is.

    Raises
    ------
    NotAcceptableError
    """
    for each in accepted:
        if not each.takes(DICOM) or not (each.is_related or single):
            continue
        if is_fixed or each.transfer_syntax in {None, "*", stored}:
            return each, stored
        if each.transfer_syntax == ExplicitVRLittleEndian:
            return each, str(ExplicitVRLittleEndian)
    raise NotAcceptableError(
        f'multipart/related; type="{DICOM}" in the transfer syntax that is stored (*), or in '
        f"{ExplicitVRLittleEndian}"
    )


def choose_frames(
    accepted: Sequence[AcceptedType], stored: str, *, single: bool
) -> tuple[AcceptedType, str]:
    """Return the range that frames are given away by, and in which transfer syntax.

    Parameters
    ----------
    stored, single
        See `choose_instance`.

    Raises
    ------
    NotAcceptableError
    """
    native = str(ExplicitVRLittleEndian)
    stored = native if stored in transfer_syntaxes.UNCOMPRESSED else stored
    media_type = frame_type(stored)
    for each in accepted:
        if not (each.is_related or single):
            continue
        asked = each.transfer_syntax
        as_stored = {None, "*", stored} if each.takes(media_type) else {"*", stored}
        if (each.takes(media_type) or each.takes(OCTETS)) and asked in as_stored:
            return each, stored
        if each.takes(OCTETS) and asked in {None, native}:
            return each, native
    raise NotAcceptableError(
        f'multipart/related; type="{media_type}" or "{OCTETS}" in the transfer syntax that is '
        f"stored (*), or {OCTETS} in {native}"
    )
