import io

import numpy as np
import pytest
from PIL import Image

from preprocess import UnrecognisedImageError, sniff

PIXELS = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))


def saved(kind: str, **options) -> bytes:
    out = io.BytesIO()
    PIXELS.save(out, kind, **options)
    return out.getvalue()


def iso_media(major: bytes, *compatible: bytes) -> bytes:
    box = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return (len(box) + 4).to_bytes(4) + box + bytes(40)


def nifti_1(magic: bytes) -> bytes:
    return (348).to_bytes(4, "little") + bytes(340) + magic + bytes(8)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\x0a\xfa\x1f\x01", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL"),
        (saved("JPEG2000"), "JPEG 2000"),
        (saved("JPEG2000", no_jp2=True), "JPEG 2000"),
        (b"II\xbc\x01\x08\0\0\0", "JPEG XR"),
        (saved("WEBP"), "WebP"),
        (saved("TIFF"), "TIFF"),
        (saved("TIFF", big_tiff=True), "TIFF"),
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (saved("GIF"), "GIF"),
        (saved("BMP"), "BMP"),
        (saved("ICO"), "Windows icon"),
        (saved("PDF"), "PDF"),
        (saved("PPM"), "Netpbm"),
        (saved("EPS"), "PostScript"),
        (iso_media(b"heic", b"mif1"), "HEIF"),
        (iso_media(b"mif1", b"avif"), "HEIF"),
        (iso_media(b"avif", b"mif1"), "AVIF"),
        (iso_media(b"xxxx", b"avif"), "AVIF"),
        (iso_media(b"isom", b"mp41"), "MP4"),
        (nifti_1(b"n+1\0"), "NIfTI"),
        (nifti_1(b"ni1\0"), "NIfTI"),
        ((540).to_bytes(4, "little") + b"n+2\0\r\n\x1a\n", "NIfTI"),
        ((540).to_bytes(4) + b"n+2\0\r\n\x1a\n", "NIfTI"),
        (b"NRRD0004\ntype: short\n", "NRRD"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"PK\x03\x04\x14\0", "ZIP"),
        (b'{"study_id": "S-1"}', "JSON"),
        (b'<?xml version="1.0"?>', "XML"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"/9j/4AAQSkZJRgABAQ", "Base64"),
        (b"iVBORw0KGgoAAAANSUhEUg", "Base64"),
        (b"data:image/jpeg;base64,/9j/", "Base64"),
    ],
)
def test_other_formats_are_refused_by_their_name(data, name):
    for view in (data, memoryview(data)):
        with pytest.raises(UnrecognisedImageError) as caught:
            sniff(view)
        assert caught.value.format_name == name
        assert caught.value.reason == (
            f"the bytes are neither a JPEG, a PNG nor a DICOM file, but {name}"
        )


@pytest.mark.parametrize("data", [b"", b"BM", b"PK", b"hello", bytes(400), b"\xff\xd8", b"II*"])
def test_unknown_bytes_get_no_name(data):
    with pytest.raises(UnrecognisedImageError) as caught:
        sniff(data)
    assert caught.value.format_name is None
    assert caught.value.reason == "the bytes are neither a JPEG, a PNG nor a DICOM file"
