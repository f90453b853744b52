"""Data sets of stored instances: as DICOM JSON, uncompressed, and their bulk data.

pydicom's `dcmread` sets no bounds; what is read here was taken in under those of
`preprocess.dataset`, and a model has read it.
"""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.filewriter import dcmwrite
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian

from preprocess.native import native_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.dataset import Dataset, FileDataset
    from pydicom.tag import BaseTag

    from preprocess import Limits

    Attributes = dict[str, dict[str, Any]]

PIXEL_DATA = Tag("PixelData")
_BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW"})
# What is longer is left out of metadata and retrieved by itself.
_INLINE_BYTES = 1024
_PREAMBLE = 128
_EIGHT_BITS = 8


def read_data_set(data: bytes, keywords: Iterable[str] | None = None) -> FileDataset:
    """Return a file's data set; with keywords only these attributes of it, and no pixels.

    Raises
    ------
    Exception
        Of pydicom's: it has no one class for a file that is damaged.
    """
    tags = None if keywords is None else [Tag(keyword) for keyword in keywords]
    return dcmread(
        io.BytesIO(data), force=True, stop_before_pixels=tags is not None, specific_tags=tags
    )


def read_header(
    data: bytes, keywords: Iterable[str] | None, *, whole: bool = False
) -> FileDataset | None:
    """Return the attributes of a file that stand before its pixels.

    Parameters
    ----------
    data
        First bytes of the file, or all of them.
    keywords
        Of those to return; None returns all but long binary ones.
    whole
        True if these are all bytes of the file.

    Returns
    -------
    FileDataset or None
        None where the bytes end before the pixels begin: what came last may be cut off.
    """
    stream = io.BytesIO(data)
    tags = None if keywords is None else [Tag(keyword) for keyword in keywords]
    data_set = dcmread(stream, force=True, stop_before_pixels=True, specific_tags=tags)
    if not whole and stream.tell() >= len(data):
        return None
    for tag in list(data_set.keys()):
        if _is_bulk(data_set.get_item(tag)):
            del data_set[tag]
    return data_set


def transfer_syntax_of(data_set: FileDataset) -> str:
    """Return the Transfer Syntax UID of a file; of one that names none, as it is encoded."""
    named = data_set.file_meta.get("TransferSyntaxUID")
    if named:
        return str(named)
    implicit = data_set.original_encoding[0]
    return "1.2.840.10008.1.2" if implicit else str(ExplicitVRLittleEndian)


def metadata_of(data: bytes, bulk_url: Callable[[str], str]) -> bytes:
    """Return a file's data set in the DICOM JSON Model, without its bulk data.

    Parameters
    ----------
    bulk_url
        Returns the URL of the bulk data of an attribute, by its tag in eight digits.

    References
    ----------
    PS3.18, 10.4.1.1.2 and F.2: texts are in UTF-8 whatever the file has them in.
    """
    data_set = read_data_set(data)
    syntax = transfer_syntax_of(data_set)
    bulk = [tag for tag in list(data_set.keys()) if _is_bulk(data_set.get_item(tag))]
    found = {f"{tag:08X}": _vr_of(data_set, tag) for tag in bulk}
    for tag in bulk:
        del data_set[tag]
    attributes = json_of(data_set)
    for name, vr in found.items():
        attributes[name] = {"vr": vr, "BulkDataURI": bulk_url(name)}
    attributes["00083002"] = {"vr": "UI", "Value": [syntax]}
    return encoded(dict(sorted(attributes.items())))


def json_of(data_set: Dataset) -> Attributes:
    """Return a data set in the DICOM JSON Model; what cannot be understood is left out."""
    attributes: Attributes = data_set.to_json_dict(suppress_invalid_tags=True)
    if "00080005" in attributes:
        attributes["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return attributes


def encoded(attributes: Attributes | list[Attributes]) -> bytes:
    """Return attributes as JSON; a number that is none, or infinite, is null."""
    try:
        text = json.dumps(attributes, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(attributes), separators=(",", ":"))
    return text.encode()


def bulk_of(data: bytes, tag: BaseTag) -> bytes | None:
    """Return the value of an attribute as it is stored; None where the file has none."""
    data_set = read_data_set(data)
    element = data_set.get_item(tag) if tag in data_set else None
    value = None if element is None else element.value
    return value if isinstance(value, bytes) and _is_bulk(element) else None


def whole_file(data: bytes) -> bytes:
    """Return a file as PS3.10 has it: one that lost its preamble gets another."""
    if data[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return data
    return _written(read_data_set(data))


def uncompressed_file(data: bytes, limits: Limits) -> bytes:
    """Return a file in Explicit VR Little Endian.

    Raises
    ------
    UnsupportedImageError
        It is compressed, and in colour.
    """
    native = native_frames(data, limits)
    pixels = b"".join(native.frames)
    data_set = read_data_set(data)
    data_set.decode()
    data_set[PIXEL_DATA].VR = "OW" if native.bits_allocated > _EIGHT_BITS else "OB"
    data_set.PixelData = pixels + bytes(len(pixels) % 2)
    data_set[PIXEL_DATA].is_undefined_length = False
    for offsets in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if offsets in data_set:
            delattr(data_set, offsets)
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return _written(data_set)


def with_window(data: bytes, center: float, width: float, function: str) -> bytes:
    """Return a file that asks to be shown in this window and no other.

    References
    ----------
    PS3.3, C.11.2: a VOI LUT, or windows of its frames, would stand in the way of it.
    """
    data_set = read_data_set(data)
    items: list[Dataset] = [data_set]
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        items += data_set.get(keyword) or []
    for item in items:
        for keyword in ("VOILUTSequence", "FrameVOILUTSequence", "VOILUTFunction"):
            if keyword in item:
                delattr(item, keyword)
    # Ten digits fit into a Decimal String.
    data_set.WindowCenter, data_set.WindowWidth = f"{center:.8g}", f"{width:.8g}"
    data_set.VOILUTFunction = function
    return _written(data_set)


def _written(data_set: FileDataset) -> bytes:
    meta = data_set.file_meta
    meta.TransferSyntaxUID = UID(transfer_syntax_of(data_set))
    if not meta.get("MediaStorageSOPClassUID"):
        meta.MediaStorageSOPClassUID = data_set.SOPClassUID
    if not meta.get("MediaStorageSOPInstanceUID"):
        meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
    out = io.BytesIO()
    dcmwrite(out, data_set, enforce_file_format=True)
    return out.getvalue()


def _vr_of(data_set: Dataset, tag: BaseTag) -> str:
    vr = data_set.get_item(tag).VR or (dictionary_VR(tag) if dictionary_has_tag(tag) else "UN")
    return "OW" if " or " in vr else str(vr)


def _is_bulk(element: RawDataElement | DataElement | None) -> bool:
    if element is None:
        return False
    if element.tag == PIXEL_DATA:
        return True
    vr = element.VR
    if vr is None:
        vr = dictionary_VR(element.tag) if dictionary_has_tag(element.tag) else "UN"
    value = element.value
    return vr in _BULK_VRS and isinstance(value, bytes) and len(value) > _INLINE_BYTES


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
