"""Codestream against data set: every coding, depth, High Bit and sign is right or refused.

The stored values come first; cells are made of them by PS3.5 8.1.1, and codestreams of the cells.
"""

import io
import re
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from preprocess import (
    CorruptImageError,
    PreprocessError,
    TruncatedImageError,
    UnsupportedImageError,
    decode,
)
from preprocess.codestream import _decode_rle
from preprocess.image import ImagePixel
from tests.preprocess import codestreams, dicoms
from tests.preprocess.codestreams import CODECS, Codec

RNG = np.random.default_rng(12)
ROWS, COLUMNS = 24, 40

# Bits Allocated, Bits Stored, High Bit, Pixel Representation.
LAYOUTS = [
    (8, 8, 7, 0),
    (8, 8, 7, 1),
    (8, 7, 6, 0),
    (8, 6, 7, 0),
    (8, 5, 6, 1),
    (16, 8, 7, 0),
    (16, 8, 15, 0),
    (16, 10, 9, 0),
    (16, 10, 9, 1),
    (16, 12, 11, 0),
    (16, 12, 11, 1),
    (16, 12, 15, 0),
    (16, 12, 15, 1),
    (16, 12, 13, 0),
    (16, 15, 14, 0),
    (16, 16, 15, 0),
    (16, 16, 15, 1),
    (32, 12, 11, 0),
    (32, 12, 11, 1),
    (32, 12, 15, 0),
]


def offsets(bits: int) -> np.ndarray:
    """A picture counted from the least stored value, soft enough for lossy codings.

    Black and white at their very ends, and a ramp between.
    """
    largest = (1 << bits) - 1
    ramp = np.linspace(0, largest, COLUMNS - 16)
    row = np.concatenate([np.zeros(8), ramp, np.full(8, largest)])
    return np.tile(np.rint(row), (ROWS, 1)).astype(np.int64)


def cells_of(values: np.ndarray, layout: tuple[int, int, int, int], *, filled: bool) -> np.ndarray:
    """The stored values in their cells; what is not stored is noise if filled, else 0."""
    allocated, bits, high_bit, _ = layout
    shift, mask = high_bit + 1 - bits, (1 << bits) - 1
    rest = RNG.integers(0, 1 << allocated, values.shape) if filled else np.zeros_like(values)
    rest &= ~(mask << shift)
    return ((values & mask) << shift | rest).astype(f"u{allocated // 8}")


def attributes(layout: tuple[int, int, int, int]) -> dict[str, object]:
    allocated, bits, high_bit, signed = layout
    return {
        "BitsAllocated": allocated,
        "BitsStored": bits,
        "HighBit": high_bit,
        "PixelRepresentation": signed,
    }


def outcome(data: bytes) -> np.ndarray | PreprocessError:
    """Share of white of the only frame, or the refusal."""
    try:
        (frame,) = decode(data)
    except PreprocessError as error:
        return error
    return frame.samples / frame.largest


def is_to_be_taken(codec: Codec, layout, precision: int, *, signed: bool) -> bool:
    allocated, _, high_bit, pixel_representation = layout
    fits = high_bit < precision <= allocated
    if not codec.lossy:
        return fits
    if pixel_representation:  # the sign has to be the stream's own, at its highest bit
        return fits and signed and precision == high_bit + 1
    return fits and not signed


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_every_coding_of_every_layout_is_right_or_refused(codec, layout):
    bits, signed = layout[1], bool(layout[3])
    expected = offsets(bits)
    values = expected - (1 << (bits - 1)) if signed else expected
    tolerance = max(0.03, 1.01 / expected.max()) if codec.lossy else 0
    cells = cells_of(values, layout, filled=not codec.lossy)
    if codec.encode is None:
        data = codestreams.file(codec, cells, **attributes(layout))
        np.testing.assert_array_equal(outcome(data), expected / expected.max())
        return
    for precision in (7, 8, 10, 12, 13, 15, 16):
        for stream_signed in (False, True):
            stream = codec.encode(cells, precision, stream_signed)
            if stream is None:
                continue
            seen = outcome(codestreams.file(codec, cells, stream, **attributes(layout)))
            case = f"{precision} bits, {'signed' if stream_signed else 'unsigned'}"
            if is_to_be_taken(codec, layout, precision, signed=stream_signed):
                assert isinstance(seen, np.ndarray), (case, seen)
                assert np.abs(seen - expected / expected.max()).max() <= tolerance, case
            else:
                assert isinstance(seen, CorruptImageError), case


LOSSLESS = [codec for codec in CODECS if codec.encode is not None and not codec.lossy]
LOSSY = [codec for codec in CODECS if codec.lossy and "JPEG b" not in codec.name]


def named(codec: Codec) -> str:
    return codec.name


# By hand.


@pytest.mark.parametrize("codec", [*CODECS[:5], *LOSSLESS], ids=named)
@pytest.mark.parametrize(
    ("cells", "layout", "samples"),
    [
        ([0x0000, 0x8123, 0xFFFF, 0x0FFF], (16, 12, 11, 0), [0, 0x123, 4095, 4095]),
        ([0x0000, 0x1230, 0xFFFF, 0xFFF0], (16, 12, 15, 0), [0, 0x123, 4095, 4095]),
        ([0x0800, 0x07FF, 0xFFFF, 0x7000], (16, 12, 11, 1), [0, 4095, 2047, 2048]),
        ([0x8000, 0x7FF0, 0xFFFF, 0x000F], (16, 12, 15, 1), [0, 4095, 2047, 2048]),
        ([0x8000, 0x7FFF, 0xFFFF, 0x0000], (16, 16, 15, 1), [0, 65535, 32767, 32768]),
    ],
    ids=["overlay in bit 15", "High Bit 15", "signed", "signed, High Bit 15", "16 bits, signed"],
)
def test_cells_by_hand(codec, cells, layout, samples):
    picture = np.array([cells] * 4, np.uint16)
    stream = () if codec.encode is None else (codec.encode(picture, 16, False),)
    (frame,) = decode(codestreams.file(codec, picture, *stream, **attributes(layout)))
    assert frame.bits_stored == layout[1]
    assert frame.samples.tolist() == [samples] * 4


@pytest.mark.parametrize("codec", [c for c in LOSSLESS if c.knows_sign], ids=named)
def test_signed_stream_of_unsigned_samples(codec):
    cells = np.array([[0, 1, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF]] * 4, np.uint16)
    data = codestreams.file(codec, cells, codec.encode(cells, 16, True))
    assert decode(data)[0].samples.tolist() == cells.tolist()


def refusal(codec: Codec, cells: np.ndarray, *streams: bytes, **fields: object) -> str:
    with pytest.raises((CorruptImageError, UnsupportedImageError)) as caught:
        decode(codestreams.file(codec, cells, *streams, **fields))
    return caught.value.reason


@pytest.mark.parametrize("codec", [*LOSSLESS, *LOSSY], ids=named)
def test_eight_bits_under_twelve_are_refused(codec):
    picture = offsets(8).astype(np.uint16)
    stream = codec.encode(picture, 8, False)
    assert refusal(codec, picture, stream, BitsStored=12) == (
        "a compressed frame has samples of 8 bits, too few for Bits Stored 12 and High Bit 11"
    )


def test_refusals_say_what_to_mend():
    codec = next(codec for codec in CODECS if codec.name == "J2K 91")
    picture = offsets(8).astype(np.uint8)
    assert refusal(codec, picture, codec.encode(picture.astype(np.uint16), 12, False)) == (
        "a compressed frame has samples of 12 bits, and Bits Allocated is 8"
    )
    grey = codec.encode(picture, 8, False)
    assert refusal(codec, np.stack([picture] * 3, axis=-1), grey) == (
        "the components of a compressed frame number 1, and Samples per Pixel is 3"
    )
    assert refusal(codec, picture, codec.encode(picture, 8, True)) == (
        "Pixel Representation and a lossy codestream disagree on the sign of samples"
    )
    assert refusal(codec, picture, grey, PhotometricInterpretation="PALETTE COLOR") == (
        "the indices of a palette cannot be coded with loss"
    )
    baseline = next(codec for codec in CODECS if codec.name == "JPEG baseline")
    assert refusal(
        baseline, picture, baseline.encode(picture, 8, False), PixelRepresentation=1
    ) == ("Pixel Representation is signed, and the frame's lossy coding knows no sign")
    colours = np.stack([picture] * 3, axis=-1)
    assert refusal(CODECS[1], colours, PixelRepresentation=1) == (
        "Pixel Representation is signed, as no colour is"
    )


# Written by dcmtk's dcmcjpls 3.6.7: 8 x 8 samples, 0, 65, 130 ... 4095; the last four times less.
JPEG_LS_12 = bytes.fromhex(
    "ffd8fff7000b0c0008000801011100ffda00080101000000008824120fff7483fe0001408480fe7c7a7821"
    "000050767472706e6c401073534333231307f1062f2e2d2c2b2a3e1052928272625243d104232221207ef8"
    "f040debc76edd393b0ffd900"
)
JPEG_LS_12_NEAR_3 = bytes.fromhex(
    "ffd8fff7000b0c0008000801011100ffda0008010100030000914d14514510051449249049200590410410"
    "4122a790f7bde48a9c731cc624545318a531029294a42909151084239090ffd900"
)
JPEG_LS_10 = bytes.fromhex(
    "ffd8fff7000b0a0008000801011100ffda00080101000000009f7df7db7dd0000a1079c718588000051449"
    "0439a7882d6b1ac59c202d6b63b1a7f66676630fcccceaa59f5555954a00ffd900"
)


@pytest.mark.parametrize(
    ("stream", "bits", "tolerance"),
    [(JPEG_LS_12, 12, 0), (JPEG_LS_12_NEAR_3, 12, 3), (JPEG_LS_10, 10, 0)],
    ids=["12", "12, near", "10"],
)
def test_jpeg_ls_of_other_depths(stream, bits, tolerance):
    picture = (np.arange(64) * 65 >> (12 - bits)).astype(np.uint16).reshape(8, 8)
    syntax = JPEGLSNearLossless if tolerance else JPEGLSLossless
    (frame,) = decode(dicoms.write(dicoms.compressed(picture, stream, BitsStored=bits), syntax))
    assert frame.bits_stored == bits
    assert np.abs(frame.samples.astype(int) - picture).max() == tolerance
    signed = dicoms.compressed(picture, stream, BitsStored=bits, PixelRepresentation=1)
    if tolerance:
        with pytest.raises(CorruptImageError, match="knows no sign"):
            decode(dicoms.write(signed, syntax))
    else:
        half = 1 << (bits - 1)
        assert decode(dicoms.write(signed, syntax))[0].samples.tolist() == (picture ^ half).tolist()


# What lossy codings do at both ends of the range.


def hard(low: int, high: int, dtype: str) -> np.ndarray:
    """Noise and a rectangle of nothing but the two ends."""
    noise = np.where(np.random.default_rng(3).random((64, 64)) < 0.5, low, high)
    shape = np.full((64, 64), low)
    shape[20:45, 15:50] = high
    return np.concatenate([noise, shape]).astype(dtype)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("level", [0.002, 0.01])
@pytest.mark.parametrize("syntax", [HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL])
def test_lossy_htj2k_does_not_wrap(bits, signed, level, syntax):
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    picture = hard(low, high, f"{'i' if signed else 'u'}{bits // 8}")
    stream = imagecodecs.htj2k_encode(picture, reversible=False, level=level)
    # The decoder that is not used here makes black of white.
    assert np.abs(imagecodecs.htj2k_decode(stream).astype(int) - picture).max() == high - low
    (frame,) = decode(dicoms.write(dicoms.compressed(picture, stream), syntax))
    error = np.abs(frame.samples.astype(int) - (picture.astype(int) - low))
    assert error.max() <= 0.1 * (high - low)


@pytest.mark.parametrize("reversible", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_lossy_jpeg_2000_does_not_wrap(reversible, bits, signed):
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    picture = hard(low, high, f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    stream = imagecodecs.jpeg2k_encode(
        picture, level=30, codecformat="j2k", reversible=reversible, bitspersample=bits
    )
    (frame,) = decode(dicoms.write(dicoms.compressed(picture, stream, BitsStored=bits), JPEG2000))
    error = np.abs(frame.samples.astype(int) - (picture.astype(int) - low))
    assert 0 < error.max() <= 0.3 * (high - low)


@pytest.mark.parametrize("near", [1, 5, 30])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_near_lossless_jpeg_ls_does_not_wrap(near, bits):
    largest = (1 << bits) - 1
    noise = RNG.integers(0, 12, (64, 64)).astype(f"u{1 if bits == 8 else 2}")
    picture = np.concatenate([noise, largest - noise])
    stream = imagecodecs.jpegls_encode(picture, level=near)
    (frame,) = decode(
        dicoms.write(dicoms.compressed(picture, stream, BitsStored=bits), JPEGLSNearLossless)
    )
    assert 0 < np.abs(frame.samples.astype(int) - picture).max() <= near


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize("bits", [9, 10, 11, 12])
def test_twelve_bit_jpeg_does_not_wrap(quality, bits):
    largest = (1 << bits) - 1
    picture = hard(0, largest, "u2")[64:]
    stream = imagecodecs.jpeg8_encode(picture, level=quality, bitspersample=12)
    assert bits == 12 or imagecodecs.jpeg8_decode(stream).max() > largest
    (frame,) = decode(
        dicoms.write(dicoms.compressed(picture, stream, BitsStored=bits), JPEGExtended12Bit)
    )
    error = np.abs(frame.samples.astype(int) - picture)
    assert error.max() <= 0.45 * largest
    assert error.mean() <= 0.04 * largest


@pytest.mark.parametrize("bits", [10, 12])
def test_saturated_letters_on_black_may_overshoot(bits):
    largest = (1 << bits) - 1
    picture = np.full((48, 64), largest // 50, np.uint16)
    picture[10:30, 8:10] = picture[10:12, 8:20] = picture[28:30, 8:20] = largest
    for level in (75, 85):
        stream = imagecodecs.jpeg2k_encode(
            picture, level=level, codecformat="j2k", reversible=False, bitspersample=16
        )
        decoded = imagecodecs.jpeg2k_decode(stream)
        assert decoded.max() > largest
        data = dicoms.compressed(picture, stream, BitsStored=bits)
        (frame,) = decode(dicoms.write(data, JPEG2000))
        np.testing.assert_array_equal(frame.samples, np.minimum(decoded, largest))


@pytest.mark.parametrize("syntax", [JPEG2000, JPEG2000Lossless])
def test_overlays_under_a_lossy_coding_are_refused(syntax):
    codec = next(codec for codec in CODECS if codec.name == "J2K 91")
    for bit in (12, 13, 14, 15):
        picture = offsets(12).astype(np.uint16)
        picture[4:9, 10:30] |= 1 << bit
        data = dicoms.compressed(picture, codec.encode(picture, 16, False), BitsStored=12)
        with pytest.raises(CorruptImageError, match="beyond Bits Stored 12, High Bit 11"):
            decode(dicoms.write(data, syntax))


def test_integer_wavelet_cut_short_is_clipped():
    picture = hard(0, 4095, "u2")[64:]
    stream = imagecodecs.jpeg2k_encode(
        picture, level=55, codecformat="j2k", reversible=True, bitspersample=16
    )
    assert imagecodecs.jpeg2k_decode(stream).max() > 4095
    (frame,) = decode(dicoms.write(dicoms.compressed(picture, stream, BitsStored=12), JPEG2000))
    assert np.abs(frame.samples.astype(int) - picture).max() < 1500


def test_overlays_where_loss_is_allowed_are_masked_or_refused():
    codec = next(codec for codec in LOSSLESS if codec.name == "J2K 91, lossless")
    bright, dark = offsets(12).astype(np.uint16), offsets(12).astype(np.uint16) // 4
    for picture in (bright, dark):
        for bit in (12, 13, 15):
            covered = picture.copy()
            covered[4:9, 2:30] |= 1 << bit
            data = codestreams.file(codec, covered, codec.encode(covered, 16, False), BitsStored=12)
            if picture is dark and bit == 12:  # as near to white as overshoot comes
                with pytest.raises(CorruptImageError, match="no error of a lossy coding"):
                    decode(data)
            else:
                assert decode(data)[0].samples.tolist() == picture.tolist()


@pytest.mark.parametrize("codec", [*LOSSLESS, *LOSSY], ids=named)
@pytest.mark.parametrize(("bits", "signed"), [(16, 0), (14, 0), (13, 0), (16, 1), (14, 1)])
def test_deeper_values_than_bits_stored_are_refused(codec, bits, signed):
    deep = np.tile(np.linspace(0, (1 << bits) - 1, 400), (8, 1)).astype(np.int64)
    deep -= signed << (bits - 1)
    stream = codec.encode(deep, 16, bool(signed) and codec.knows_sign)
    if stream is None:  # JPEG Extended has 12 bits
        deep >>= 4
        stream = codec.encode(deep.astype(np.uint16), 12, False)
        assert stream is not None
        if bits < 16:
            return
    fields = {"BitsStored": 12 if bits < 16 or deep.max() > 4095 else 10}
    fields["PixelRepresentation"] = signed
    reason = refusal(codec, deep.astype(np.uint16), stream, **fields)
    assert re.search("beyond Bits Stored|go on above High Bit|knows no sign", reason), reason


# Several frames, and colour.


@pytest.mark.parametrize("codec", LOSSLESS, ids=named)
def test_every_frame_is_read_by_the_data_set(codec):
    stack = [RNG.integers(0, 65536, (12, 20)).astype(np.uint16) for _ in range(3)]
    streams = [codec.encode(picture, 16, False) for picture in stack]
    fields = {"BitsStored": 12, "HighBit": 15, "NumberOfFrames": 3}
    for frame, picture in zip(
        decode(codestreams.file(codec, stack[0], *streams, **fields)), stack, strict=True
    ):
        assert frame.samples.tolist() == (picture >> 4).tolist()


@pytest.mark.parametrize("codec", [*CODECS[:5], *LOSSLESS], ids=named)
@pytest.mark.parametrize("high_bit", [11, 13, 15])
def test_colour_is_shifted_and_masked_before_its_luma(codec, high_bit):
    rgb = RNG.integers(0, 4096, (12, 20, 3))
    shift = high_bit - 11
    rest = RNG.integers(0, 65536, rgb.shape) & ~(0xFFF << shift)
    cells = (rgb << shift | rest).astype(np.uint16)
    stream = () if codec.encode is None else (codec.encode(cells, 16, False),)
    (frame,) = decode(codestreams.file(codec, cells, *stream, BitsStored=12, HighBit=high_bit))
    luma = rgb @ [0.299, 0.587, 0.114]
    assert np.abs(frame.samples - luma).max() <= 1


# What contradicts itself otherwise.


def test_hierarchical_and_arithmetic_jpeg_are_named():
    picture = offsets(8).astype(np.uint8)
    stream = imagecodecs.jpeg8_encode(picture, lossless=True, predictor=1)
    for marker in (b"\xff\xc5", b"\xff\xc7", b"\xff\xc9", b"\xff\xca", b"\xff\xcb"):
        other = stream.replace(b"\xff\xc3", marker, 1)
        data = dicoms.write(dicoms.compressed(picture, other), JPEGLosslessSV1)
        with pytest.raises(UnsupportedImageError) as caught:
            decode(data)
        assert caught.value.reason == "hierarchical and arithmetic JPEG are not taken"


@pytest.mark.parametrize("process", ["53", "55", "51"])
def test_progressive_jpeg_of_the_retired_processes_is_read(process):
    picture = offsets(8).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=97, progressive=process != "51")
    syntax = f"1.2.840.10008.1.2.4.{process}"
    (frame,) = decode(dicoms.write(dicoms.compressed(picture, out.getvalue()), syntax))
    assert np.abs(frame.samples.astype(int) - picture).max() <= 8


@pytest.mark.parametrize(
    ("codec", "syntax"),
    [("J2K", JPEGBaseline8Bit), ("JPEG-LS", JPEGLosslessSV1), ("HTJ2K", JPEGLSLossless)],
)
def test_another_coding_than_the_transfer_syntax_says_is_refused(codec, syntax):
    picture = offsets(8).astype(np.uint8)
    stream = next(c for c in CODECS if c.name == codec).encode(picture, 8, False)
    with pytest.raises(CorruptImageError) as caught:
        decode(dicoms.write(dicoms.compressed(picture, stream), syntax))
    assert caught.value.reason == "a compressed frame is not coded as Transfer Syntax UID says"


def test_partial_range_in_a_compressed_frame_is_refused():
    picture = np.stack([offsets(8).astype(np.uint8)] * 3, axis=-1)
    stream = imagecodecs.jpeg8_encode(picture, level=95)
    fields = {"PhotometricInterpretation": "YBR_PARTIAL_422"}
    with pytest.raises(UnsupportedImageError, match="partial range"):
        decode(dicoms.write(dicoms.compressed(picture, stream, **fields), JPEGBaseline8Bit))


def test_an_rle_frame_is_read_within_its_bounds():
    """What lies behind a frame in memory is no part of it, wherever its header points."""
    cells = RNG.integers(0, 65536, (24, 40), np.uint16)
    whole = codestreams.rle(cells)
    image = ImagePixel(24, 40, 1, 1, "MONOCHROME2", 16, 16, 15, signed=False, planar=False)
    np.testing.assert_array_equal(_decode_rle(whole, image), cells)
    (second,) = struct.unpack_from("<I", whole, 8)
    for cut in (second, second - 20, 100, 64):
        with pytest.raises(CorruptImageError, match="beyond it"):
            _decode_rle(memoryview(whole)[:cut], image)
    for cut in (63, 0):
        with pytest.raises(TruncatedImageError):
            _decode_rle(memoryview(whole)[:cut], image)


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        ((2, 64, 1 << 31), "beyond it"),
        ((2, 64, 64), "beyond it"),
        ((2, 64, 63), "beyond it"),
        ((2, 60, 200), "other segments"),
        ((2, 1 << 31, 200), "other segments"),
        ((1, 64), "other segments"),
        ((4, 64, 70, 80, 90), "other segments"),
        ((0,), "other segments"),
    ],
)
def test_an_rle_header_that_is_not_its_frames_is_refused(offsets: tuple[int, ...], words: str):
    cells = RNG.integers(0, 65536, (24, 40), np.uint16)
    header = struct.pack("<16I", *offsets, *[0] * (16 - len(offsets)))
    frame = header + codestreams.rle(cells)[64:]
    with pytest.raises(CorruptImageError, match=words):
        decode(dicoms.write(dicoms.compressed(cells, frame), RLELossless))


def test_rle_segments_have_the_length_of_the_picture_each():
    """Not in sum: bytes that one lacks and another has too many would shift the picture."""
    cells = RNG.integers(0, 65536, (24, 40), np.uint16)
    high, low = (part.astype(np.uint8).tobytes() for part in (cells >> 8, cells & 255))
    parts = [imagecodecs.packbits_encode(part) for part in (high + b"\x07", low[:-1])]
    header = struct.pack("<16I", 2, 64, 64 + len(parts[0]), *[0] * 13)
    with pytest.raises(PreprocessError):
        decode(dicoms.write(dicoms.compressed(cells, header + b"".join(parts)), RLELossless))
