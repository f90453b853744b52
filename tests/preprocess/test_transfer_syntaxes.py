"""What is not read is refused by its name, whoever asks."""

import struct
import zlib

import pytest
from pydicom.uid import UID

from preprocess import UnsupportedImageError, decode, measure, read_metadata
from preprocess.transfer_syntaxes import check_taken
from tests.preprocess import dicoms
from tests.preprocess.pngs import ramp

PICTURE = ramp(4, 6)


def relabelled(uid: str) -> bytes:
    """An explicit little endian file whose meta information names another syntax."""
    data = dicoms.write(dicoms.compressed(PICTURE, b"\xff\xd8\xff\xd9"), "1.2.840.10008.1.2.1")
    start = data.index(b"\x02\0\x10\0UI")
    (length,) = struct.unpack("<H", data[start + 6 : start + 8])
    value = uid.encode() + bytes(len(uid) % 2)
    element = b"\x02\0\x10\0UI" + struct.pack("<H", len(value)) + value
    return data[:start] + element + data[start + 8 + length :]


@pytest.mark.parametrize(
    ("uid", "name"),
    [
        ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
        ("1.2.840.10008.1.2.4.111", "JPEG XL JPEG Recompression"),
        ("1.2.840.10008.1.2.4.112", "JPEG XL"),
        ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression"),
        (
            "1.2.840.10008.1.2.4.92",
            "JPEG 2000 Part 2 Multi-component Image Compression (Lossless Only)",
        ),
        ("1.2.840.10008.1.2.4.93", "JPEG 2000 Part 2 Multi-component Image Compression"),
        ("1.2.840.10008.1.2.4.94", "JPIP Referenced"),
        ("1.2.840.10008.1.2.4.204", "JPIP HTJ2K Referenced"),
        ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile / Main Level"),
        ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile / Level 4.1"),
        ("1.2.840.10008.1.2.4.108", "HEVC/H.265 Main 10 Profile / Level 5.1"),
        ("1.2.840.10008.1.2.7.1", "SMPTE ST 2110-20 Uncompressed Progressive Active Video"),
        ("1.2.840.10008.1.2.4.58", "JPEG Lossless, Non-Hierarchical (Process 15)"),
        ("1.2.840.10008.1.2.4.59", "JPEG Extended, Hierarchical (Process 16 and 18)"),
        ("1.2.840.10008.1.2.4.66", "JPEG Lossless, Hierarchical (Process 29)"),
        ("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
        ("1.2.840.10008.1.2.6.2", "XML Encoding"),
        ("1.2.840.10008.1.20", "Papyrus 3 Implicit VR Little Endian"),
    ],
)
def test_other_transfer_syntaxes_are_refused_by_their_name(uid, name):
    for function in (measure, decode, read_metadata):
        with pytest.raises(UnsupportedImageError) as caught:
            function(relabelled(uid))
        assert caught.value.reason == f"the Transfer Syntax {name} is not taken"


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"])
def test_deflated_references_are_refused_by_their_name(uid):
    data = relabelled(uid)
    start = data.index(b"\x08\0\x16\0UI")
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    with pytest.raises(UnsupportedImageError, match=r"JPIP .*Referenced Deflate is not taken"):
        measure(data[:start] + deflater.compress(data[start:]) + deflater.flush())


@pytest.mark.parametrize(
    "uid",
    ["1.2.840.10008.1.9.9", "1.2.840.113619.5.2", "2.25.987654321", "1.2.840.10008.5.1.4.1.1.1"],
)
def test_what_the_standard_does_not_name_is_not_repeated(uid):
    with pytest.raises(UnsupportedImageError) as caught:
        check_taken(UID(uid))
    assert caught.value.reason == "the Transfer Syntax is none of those taken"
