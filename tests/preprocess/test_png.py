import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from preprocess import (
    CorruptImageError,
    PreprocessError,
    TooManyPixelsError,
    TruncatedImageError,
    UnsupportedImageError,
    decode,
    measure,
)
from preprocess.png import bits_stored
from tests.preprocess import pngs
from tests.preprocess.pngs import chunk, header, ramp, scan_lines, write


def saved(image: Image.Image, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def as_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def assemble(*chunks: bytes) -> bytes:
    return pngs.SIGNATURE + b"".join(chunks)


def test_grey_radiograph(images):
    data = (images / "nih_00000001_000.png").read_bytes()
    (frame,) = decode(data)
    np.testing.assert_array_equal(frame.samples, as_pillow(data))
    assert (frame.rows, frame.columns, frame.bits_stored) == (512, 512, 8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (7, 13), (64, 64)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("interlace", [False, True])
def test_every_sample_survives_plain_and_adam7(shape, dtype, interlace):
    samples = ramp(*shape, dtype)
    samples[-1, -1] = np.iinfo(dtype).max
    (frame,) = decode(write(samples, interlace=interlace))
    np.testing.assert_array_equal(frame.samples, samples)
    assert frame.samples.dtype == dtype
    assert frame.bits_stored == 8 * samples.itemsize


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_shallow_grey_is_spread_over_eight_bits(bits):
    top = (1 << bits) - 1
    values = np.arange(8) % (top + 1)
    packed = np.packbits(
        np.unpackbits(values.astype(np.uint8)[:, None], axis=1)[:, 8 - bits :].ravel()
    ).tobytes()
    data = assemble(
        header(1, 8, depth=bits), chunk(b"IDAT", zlib.compress(b"\0" + packed)), chunk(b"IEND", b"")
    )
    (frame,) = decode(data)
    np.testing.assert_array_equal(frame.samples[0], values * 255 // top)
    assert frame.bits_stored == 8


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_colour_palette_and_alpha_give_luma(mode):
    rng = np.random.default_rng(1)
    rgb = Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8))
    data = saved(rgb.convert(mode))
    # OpenCV and Pillow round the luma's weights to 15 and 16 bits.
    assert np.abs(decode(data)[0].samples.astype(int) - as_pillow(data)).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_grey_in_a_colour_file_is_exact(mode, images):
    image = Image.open(images / "nih_00000001_000.png").convert("L")
    np.testing.assert_array_equal(decode(saved(image.convert(mode)))[0].samples, np.asarray(image))


def test_alpha_is_ignored():
    samples = np.full((4, 4, 2), (120, 0), np.uint8)
    assert (decode(write(samples, colour=4))[0].samples == 120).all()


def test_palette_transparency_is_ignored():
    image = Image.fromarray(ramp(4, 4)).convert("P")
    np.testing.assert_array_equal(decode(saved(image, transparency=5))[0].samples, ramp(4, 4))


def test_sixteen_bit_colour_keeps_its_depth():
    samples = np.zeros((1, 3, 3), np.uint16)
    samples[0] = np.diag([65535] * 3)
    (frame,) = decode(write(samples, colour=2))
    np.testing.assert_allclose(
        frame.samples[0], [0.299 * 65535, 0.587 * 65535, 0.114 * 65535], atol=3
    )
    assert frame.bits_stored == 16


@pytest.mark.parametrize(
    ("largest", "significant", "bits"),
    [
        (65535, None, 16),
        (40000, None, 16),
        (32767, None, 15),
        (16383, None, 14),
        (4095, None, 12),
        (2048, None, 12),
        (1023, None, 10),
        (255, None, 8),
        (0, None, 8),
        (4095, 12, 12),
        (900, 12, 12),
        (65520, 12, 16),
        (900, 16, 16),
        (900, 7, 10),
    ],
)
def test_depth_of_a_sixteen_bit_file(largest, significant, bits):
    assert bits_stored(np.array([[0, largest]], np.uint16), significant) == bits


def test_sbit_chunk_is_read():
    samples = ramp(4, 4, np.uint16, largest=900)
    assert decode(write(samples))[0].bits_stored == 10
    assert decode(write(samples, extra=(chunk(b"sBIT", b"\x0c"),)))[0].bits_stored == 12


@pytest.mark.parametrize(
    ("colour", "significant", "bits"),
    [(4, b"\x0c\x10", 12), (2, b"\x0c\x0c\x0c", 12), (6, b"\x0c\x0c\x0c\x10", 12),
     (2, b"\x0c\x0b\x0c", 10)],
)  # fmt: skip
def test_sbit_chunk_of_colour_and_alpha_is_read(colour, significant, bits):
    grey = ramp(4, 4, np.uint16, largest=900)
    channels = {4: [grey, grey], 2: [grey] * 3, 6: [grey] * 4}[colour]
    data = write(np.dstack(channels), colour=colour, extra=(chunk(b"sBIT", significant),))
    (frame,) = decode(data)
    assert frame.bits_stored == bits
    np.testing.assert_allclose(frame.samples, grey, atol=1)


def test_eight_bits_in_a_sixteen_bit_file_become_eight():
    (frame,) = decode(write(ramp(4, 4, np.uint16, largest=255)))
    assert frame.samples.dtype == np.uint8
    np.testing.assert_array_equal(frame.samples, ramp(4, 4))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(ramp(5, 9)), exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(decode(data)[0].samples, upright)
    assert (measure(data).rows, measure(data).columns) == upright.shape


def test_image_data_may_come_in_pieces():
    stream = zlib.compress(scan_lines(ramp(20, 20)))
    pieces = (chunk(b"IDAT", stream[at : at + 7]) for at in range(0, len(stream), 7))
    data = assemble(header(20, 20), *pieces, chunk(b"IDAT", b""), chunk(b"IEND", b""))
    np.testing.assert_array_equal(decode(data)[0].samples, ramp(20, 20))


@pytest.mark.parametrize("declared", [(10, 20), (40, 20), (20, 10), (20, 40), (300, 200)])
def test_declared_size_other_than_the_coded_one_is_refused(declared):
    stream = zlib.compress(scan_lines(ramp(20, 20)))
    data = assemble(header(*declared), chunk(b"IDAT", stream), chunk(b"IEND", b""))
    with pytest.raises(CorruptImageError):
        decode(data)


def test_missing_rows_are_called_truncated():
    stream = zlib.compress(scan_lines(ramp(19, 20)))
    data = assemble(header(20, 20), chunk(b"IDAT", stream), chunk(b"IEND", b""))
    with pytest.raises(TruncatedImageError):
        decode(data)


def test_every_truncation_is_refused():
    whole = write(ramp(12, 12))
    for length in range(8, len(whole)):
        with pytest.raises(TruncatedImageError):
            decode(whole[:length])


def test_cut_deflate_stream_in_sound_chunks_is_refused():
    stream = zlib.compress(scan_lines(ramp(50, 50)))
    for kept in (0, 2, len(stream) // 2, len(stream) - 1):
        data = assemble(header(50, 50), chunk(b"IDAT", stream[:kept]), chunk(b"IEND", b""))
        with pytest.raises(TruncatedImageError):
            decode(data)


def test_no_image_data_at_all_is_refused():
    with pytest.raises(TruncatedImageError):
        decode(assemble(header(4, 4), chunk(b"IEND", b"")))


def test_bad_check_sums_are_refused():
    stream = zlib.compress(scan_lines(ramp(20, 20)))
    end = chunk(b"IEND", b"")
    for data in (
        assemble(header(20, 20), chunk(b"IDAT", stream, crc=1), end),
        assemble(header(20, 20), chunk(b"tEXt", b"a\0b", crc=1), chunk(b"IDAT", stream), end),
        assemble(header(20, 20)[:-1] + b"!", chunk(b"IDAT", stream), end),
        assemble(header(20, 20), chunk(b"IDAT", stream[:-1] + bytes([stream[-1] ^ 1])), end),
    ):
        with pytest.raises(CorruptImageError):
            decode(data)


def test_palette_file_without_palette_is_refused():
    data = assemble(
        header(2, 2, colour=3), chunk(b"IDAT", zlib.compress(bytes(6))), chunk(b"IEND", b"")
    )
    with pytest.raises(CorruptImageError):
        decode(data)


def test_sixty_thousand_squared_is_refused_before_anything_is_allocated():
    data = assemble(
        header(60_000, 60_000), chunk(b"IDAT", zlib.compress(bytes(1000))), chunk(b"IEND", b"")
    )
    tracemalloc.start()
    with pytest.raises(TooManyPixelsError) as caught:
        decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (caught.value.rows, caught.value.columns) == (60_000, 60_000)
    assert peak < 1_000_000


def test_bomb_behind_a_small_header_is_inflated_no_further_than_declared():
    bomb = zlib.compress(bytes(200_000_000), 9)
    data = assemble(header(20, 20), chunk(b"IDAT", bomb), chunk(b"IEND", b""))
    tracemalloc.start()
    with pytest.raises(CorruptImageError):
        decode(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8_000_000


def test_animated_png_is_refused():
    frames = chunk(b"acTL", struct.pack(">II", 2, 0))
    with pytest.raises(UnsupportedImageError):
        decode(write(ramp(4, 4), extra=(frames,)))


def test_chunks_without_end_are_refused():
    with pytest.raises(CorruptImageError):
        decode(assemble(header(4, 4), chunk(b"tEXt", b"") * 100_001))


@pytest.mark.parametrize(
    "fields",
    [
        (0, 4, 8, 0, 0, 0, 0),
        (4, 0, 8, 0, 0, 0, 0),
        (4, 4, 3, 0, 0, 0, 0),
        (4, 4, 16, 3, 0, 0, 0),
        (4, 4, 8, 7, 0, 0, 0),
        (4, 4, 8, 0, 1, 0, 0),
        (4, 4, 8, 0, 0, 1, 0),
        (4, 4, 8, 0, 0, 0, 2),
    ],
)
def test_impossible_headers_are_refused(fields):
    data = assemble(chunk(b"IHDR", struct.pack(">IIBBBBB", *fields)), chunk(b"IEND", b""))
    with pytest.raises(PreprocessError):
        measure(data)
