import io
import itertools
import re

import numpy as np
import pytest
from PIL import Image, ImageOps

from preprocess import (
    CorruptImageError,
    InputSpec,
    Limits,
    PreprocessError,
    Resample,
    TooManyPixelsError,
    TooManyScansError,
    TruncatedImageError,
    UnsupportedImageError,
    decode,
    measure,
    to_tensor,
)


def jpeg(image: Image.Image, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **{"quality": 95} | options)
    return out.getvalue()


def grey(rows: int = 24, columns: int = 40) -> Image.Image:
    return Image.fromarray(np.linspace(0, 255, rows * columns).astype(np.uint8).reshape(rows, -1))


def with_size(data: bytes, rows: int, columns: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + rows.to_bytes(2) + columns.to_bytes(2) + data[at + 4 :]


def test_grey_pixels_are_pillows(radiograph):
    (frame,) = decode(radiograph)
    expected = np.asarray(Image.open(io.BytesIO(radiograph)).convert("L"))
    np.testing.assert_array_equal(frame.samples, expected)
    assert (frame.rows, frame.columns, frame.bits_stored) == (712, 984, 8)


def test_any_buffer_will_do(radiograph):
    (expected,) = decode(radiograph)
    for data in (bytearray(radiograph), memoryview(radiograph)):
        np.testing.assert_array_equal(decode(data)[0].samples, expected.samples)


@pytest.mark.parametrize("subsampling", [0, 2])
def test_colour_becomes_its_luma(subsampling):
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    rgb = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, ::-1], np.uint8(90)), axis=-1)
    data = jpeg(Image.fromarray(rgb), subsampling=subsampling)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)
    # The Y of the file against the luma of its RGB: roundings, and colours RGB cannot hold.
    assert np.abs(decode(data)[0].samples - expected).max() <= 2
    assert measure(data).samples_per_pixel == 3


def test_equal_channels_give_the_grey_they_hold(radiograph):
    image = Image.open(io.BytesIO(radiograph)).convert("L")
    data = jpeg(image.convert("RGB"))
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    np.testing.assert_array_equal(decode(data)[0].samples, expected)


def test_rgb_coded_without_transform_becomes_luma():
    data = jpeg(Image.new("RGB", (16, 16), (200, 100, 50)), keep_rgb=True)
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    assert np.abs(decode(data)[0].samples.astype(int) - 124).max() <= 1


@pytest.mark.parametrize(
    ("ink", "luma"),
    [
        ((0, 0, 0, 0), 255),
        ((0, 0, 0, 255), 0),
        ((0, 0, 0, 55), 200),
        ((255, 0, 0, 0), 179),  # cyan: 0.587 * 255 + 0.114 * 255
        ((255, 255, 0, 0), 29),  # blue: 0.114 * 255
    ],
)
def test_cmyk_becomes_luma(ink, luma):
    data = jpeg(Image.new("CMYK", (16, 16), ink))
    assert np.abs(decode(data)[0].samples.astype(int) - luma).max() <= 2


def test_cmyk_without_adobe_marker_is_not_inverted():
    data = jpeg(Image.new("CMYK", (16, 16), (0, 0, 0, 55)))
    at = data.index(b"\xff\xee")
    plain = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4]) :]
    # Pillow stores 255 - ink; without the marker that is what counts as ink: 255, 255, 255, 200.
    assert decode(plain)[0].samples.max() == 0


def test_progressive_is_the_same_picture(radiograph):
    image = Image.open(io.BytesIO(radiograph))
    baseline, progressive = jpeg(image), jpeg(image, progressive=True)
    assert b"\xff\xc2" in progressive
    np.testing.assert_array_equal(decode(progressive)[0].samples, decode(baseline)[0].samples)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    image = grey()
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(image, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    (frame,) = decode(data)
    np.testing.assert_array_equal(frame.samples, upright)
    assert (frame.rows, frame.columns) == upright.shape
    assert (measure(data).rows, measure(data).columns) == upright.shape
    assert frame.samples.flags.c_contiguous


@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_broken_exif_leaves_the_picture_as_it_is(exif):
    data = jpeg(grey())
    body = b"Exif\0\0" + exif
    data = data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2) + body + data[2:]
    np.testing.assert_array_equal(decode(data)[0].samples, decode(jpeg(grey()))[0].samples)


@pytest.mark.parametrize(
    ("at_least", "shape"),
    [
        (None, (712, 984)),
        ((357, 224), (712, 984)),
        ((356, 492), (356, 492)),
        ((224, 224), (356, 492)),
        ((100, 100), (178, 246)),
        ((1, 1), (89, 123)),
    ],
)
def test_reduced_decoding_keeps_what_is_asked_for(radiograph, at_least, shape):
    (frame,) = decode(radiograph, at_least=at_least)
    assert frame.samples.shape == shape
    assert (frame.rows, frame.columns) == (712, 984)


def test_reduced_decoding_counts_rows_after_rotation():
    exif = Image.Exif()
    exif[0x0112] = 6
    (frame,) = decode(jpeg(grey(160, 320), exif=exif), at_least=(160, 40))
    assert frame.samples.shape == (160, 80)
    assert (frame.rows, frame.columns) == (320, 160)


def test_reduced_picture_is_the_full_one_averaged(radiograph):
    (full,), (half,) = decode(radiograph), decode(radiograph, at_least=(356, 492))
    averaged = full.samples.reshape(356, 2, 492, 2).mean(axis=(1, 3))
    assert np.abs(half.samples - averaged).mean() < 1.0


@pytest.mark.parametrize("method", Resample)
@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_reduced_picture_lies_where_the_full_one_does(orientation, reduction, method):
    """No size here is divided by the reduction, so a row and a column of samples jut out."""
    wave = np.add.outer(np.sin(np.arange(323) / 23) * 60, np.cos(np.arange(501) / 31) * 60) + 128
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = jpeg(Image.fromarray(wave.astype(np.uint8)), exif=exif, quality=100)
    (full,) = decode(data)
    (small,) = decode(data, at_least=(full.rows // reduction, full.columns // reduction))
    assert (small.reduction, small.rows, small.columns) == (reduction, full.rows, full.columns)
    spec = InputSpec(rows=32, columns=32, resample=method)
    np.testing.assert_allclose(to_tensor(small, spec), to_tensor(full, spec), atol=2.1 / 255)


def test_overhang_is_at_the_edge_that_the_coded_end_came_to():
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    (frame,) = decode(jpeg(grey(321, 322), exif=exif), at_least=(80, 80))
    assert frame.overhang == (0.75, 0.5)
    assert frame.box() == (0.75, 0.5, 81, 81)
    assert frame.box((1, 2, 40, 80)) == (1, 1, 11, 21)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_truncated_jpeg_is_refused(radiograph, kept):
    with pytest.raises(TruncatedImageError):
        decode(radiograph[: int(len(radiograph) * kept)])


def test_missing_end_marker_is_refused(radiograph):
    with pytest.raises(TruncatedImageError):
        decode(radiograph[:-2])


@pytest.mark.parametrize("size", [(356, 984), (1424, 984), (712, 492), (712, 1968)])
def test_declared_size_other_than_the_coded_one_is_refused(radiograph, size):
    with pytest.raises(CorruptImageError):
        decode(with_size(radiograph, *size))


def test_damaged_data_are_refused(radiograph):
    with pytest.raises(CorruptImageError):
        decode(radiograph[:20_000] + bytes(200) + radiograph[20_200:])


def test_two_frame_headers_are_refused(radiograph):
    at = radiograph.index(b"\xff\xc0")
    twice = radiograph[:at] + radiograph[at : at + 13] + radiograph[at:]
    with pytest.raises(CorruptImageError):
        decode(twice)


def test_too_many_pixels_are_refused_from_the_header_alone(radiograph):
    with pytest.raises(TooManyPixelsError) as caught:
        decode(with_size(radiograph, 60_000, 60_000)[:1000])
    assert (caught.value.rows, caught.value.columns) == (60_000, 60_000)
    assert caught.value.limit_pixels == 100_000_000


def test_colour_counts_as_many_pixels_as_it_has_samples():
    data = jpeg(Image.new("RGB", (40, 40)))
    assert len(decode(data, Limits(pixels=4800))) == 1
    with pytest.raises(TooManyPixelsError):
        decode(data, Limits(pixels=4799))


def scan_bomb(scans: int) -> bytes:
    data = jpeg(Image.new("L", (64, 64)), progressive=True)
    start = data.index(b"\xff\xda")
    length = 2 + int.from_bytes(data[start + 2 : start + 4])
    end = data.index(b"\xff", start + length)
    return data[:end] + data[start:end] * (scans - 1) + data[end:]


def test_scans_are_counted_before_decoding():
    with pytest.raises(TooManyScansError) as caught:
        decode(scan_bomb(4000))
    assert caught.value.limit_scans == 100
    with pytest.raises(TooManyScansError):
        decode(memoryview(scan_bomb(4000)))


def test_scan_markers_in_a_comment_are_no_scans(radiograph):
    progressive = jpeg(Image.open(io.BytesIO(radiograph)), progressive=True)
    comment = b"\xff\xfe" + (402).to_bytes(2) + b"\xff\xda" * 200
    data = progressive[:-2] + comment + progressive[-2:]
    assert decode(data)[0].samples.shape == (712, 984)


def test_scans_after_one_that_holds_the_whole_picture_are_refused(radiograph):
    scan = radiograph[radiograph.index(b"\xff\xda") : -2]
    with pytest.raises(CorruptImageError):
        decode(radiograph[:-2] + scan * 300 + radiograph[-2:])


def scan_starts(data: bytes) -> list[int]:
    """Offsets of the tables, or the header, that the second scan and those after it begin with."""
    found = [match.start() for match in re.finditer(rb"\xff\xda", data)]
    starts = []
    for before, at in itertools.pairwise(found):
        table = data.rfind(b"\xff\xc4", before, at)
        starts.append(table if table > 0 else at)
    return starts


@pytest.mark.parametrize("colour", [False, True])
def test_progressive_jpeg_that_lacks_its_last_scans_is_refused(radiograph, colour):
    picture = Image.open(io.BytesIO(radiograph)).convert("RGB" if colour else "L")
    data = jpeg(picture, progressive=True)
    decode(data)
    starts = scan_starts(data)
    assert len(starts) == (9 if colour else 5)
    for start in starts:
        with pytest.raises(TruncatedImageError):
            decode(data[:start] + b"\xff\xd9")


def test_jpeg_that_lacks_the_scan_of_a_component_is_refused():
    # A grey JPEG thrice, its scan each time another component's.
    data = jpeg(grey())
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    header = data[frame : frame + 4 + 5] + b"\3" + b"".join(bytes((c, 0x11, 0)) for c in (1, 2, 3))
    header = header[:2] + (17).to_bytes(2) + header[4:]
    start = data[:frame] + header + data[frame + 13 : scan]
    scans = [data[scan : scan + 5] + bytes((c,)) + data[scan + 6 : -2] for c in (1, 2, 3)]
    (whole,) = decode(start + b"".join(scans) + b"\xff\xd9")
    assert np.array_equal(whole.samples, decode(data)[0].samples)
    for lacking in range(3):
        rest = b"".join(scans[:lacking] + scans[lacking + 1 :])
        with pytest.raises(TruncatedImageError):
            decode(start + rest + b"\xff\xd9")


def test_usual_number_of_scans_is_taken(radiograph):
    data = jpeg(Image.open(io.BytesIO(radiograph)).convert("RGB"), progressive=True)
    scans = data.count(b"\xff\xda")
    assert scans == 10
    assert len(decode(data, Limits(jpeg_scans=10))) == 1
    with pytest.raises(TooManyScansError):
        decode(data, Limits(jpeg_scans=9))


@pytest.mark.parametrize(
    ("offset", "value"),
    [(1, 0xC3), (1, 0xC7), (1, 0xC9), (1, 0xCA), (4, 12), (9, 2)],
    ids=["lossless", "hierarchical", "arithmetic", "progressive arithmetic", "12", "2 components"],
)
def test_unusual_processes_are_named_as_unsupported(radiograph, offset, value):
    data = bytearray(radiograph)
    data[data.index(b"\xff\xc0") + offset] = value
    if offset == 9:
        at = data.index(b"\xff\xc0")
        data[at + 3] += 3
        data[at + 13 : at + 13] = b"\x02\x11\x00"
    with pytest.raises(UnsupportedImageError):
        measure(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xda\x00\x02",
        b"\xff\xd8\xff\xc0\x00\x02",
        b"\xff\xd8\xff\xc0\x00\x00",
        b"\xff\xd8\xff\xe0\xff\xff",
        b"\xff\xd8\xff\xe0\x00\x04ab",
        b"\xff\xd8\xff\xe0\x00\x04abcdef",
    ],
)
def test_malformed_headers_give_a_typed_error(data):
    with pytest.raises(PreprocessError):
        measure(data)
    with pytest.raises(PreprocessError):
        decode(data)


@pytest.mark.parametrize("filler", [b"\xff\xfe\x00\x02", b"\xff" * 4])
def test_segments_without_number_are_refused(filler, radiograph):
    before = radiograph[:2] + filler * 100_000 + radiograph[2:]
    with pytest.raises(CorruptImageError, match="too many segments"):
        decode(before)
    at = radiograph.index(b"\xff\xda") + 10
    within = radiograph[:at] + b"\xff\xfe\x00\x02" * 100_000 + radiograph[at:]
    for data in (within, memoryview(within)):
        with pytest.raises(CorruptImageError):
            decode(data)
