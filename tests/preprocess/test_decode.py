import pytest

from preprocess import Header, MediaType, UnrecognisedImageError, measure, sniff
from tests.preprocess.pngs import ramp, write


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"\xff\xd8\xff\xe0", MediaType.JPEG),
        (b"\x89PNG\r\n\x1a\n", MediaType.PNG),
        (bytes(128) + b"DICM", MediaType.DICOM),
        (b"\xff\xd8\xff\xe0" + bytes(124) + b"DICM", MediaType.DICOM),
        (b"\x89PNG\r\n\x1a\n" + bytes(120) + b"DICM", MediaType.DICOM),
    ],
)
def test_the_bytes_decide(data, media_type):
    assert sniff(data) is media_type
    assert sniff(memoryview(data)) is media_type


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"GIF89a", b"%PDF-1.7", b"\x89PNG\n\x1a\n", bytes(132)]
)
def test_anything_else_is_not_recognised(data):
    with pytest.raises(UnrecognisedImageError):
        sniff(data)


def test_measure_reads_the_header(radiograph):
    assert measure(radiograph) == Header(MediaType.JPEG, rows=712, columns=984, bits_stored=8)
    assert measure(write(ramp(3, 5))) == Header(MediaType.PNG, rows=3, columns=5, bits_stored=8)
