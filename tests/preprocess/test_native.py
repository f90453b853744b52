import imagecodecs
import numpy as np
import pytest
from pydicom.uid import JPEG2000, ExplicitVRBigEndian, JPEG2000Lossless, RLELossless

from preprocess import Limits, TruncatedImageError, UnsupportedImageError
from preprocess.native import native_frames, stored_frames
from tests.preprocess import dicoms

LIMITS = Limits()


def big_endian(samples: np.ndarray, vr: str) -> bytes:
    dataset = dicoms.image(samples)
    dataset["PixelData"].VR = vr
    return dicoms.write(dataset, ExplicitVRBigEndian)


def test_uncompressed_frames_are_cut_out_of_the_pixels():
    samples = np.arange(12, dtype="<u2").reshape(2, 6)
    dataset = dicoms.image(samples, NumberOfFrames=2, Rows=2, Columns=3)
    data = dicoms.write(dataset)
    expected = (samples.tobytes()[:12], samples.tobytes()[12:])
    assert stored_frames(data, LIMITS) == expected
    assert native_frames(data, LIMITS).frames == expected


@pytest.mark.parametrize(("dtype", "vr"), [(">u2", "OW"), ("u1", "OW"), ("u1", "OB")])
def test_frames_in_big_endian_are_given_in_little_endian(dtype: str, vr: str):
    samples = np.arange(8, dtype=dtype).reshape(2, 4)
    stored = samples
    if dtype == "u1" and vr == "OW":  # pairs of bytes in words of the other order
        stored = samples.view("u2").byteswap().view("u1")
    native = native_frames(big_endian(stored, vr), LIMITS)
    little = samples.astype(samples.dtype.newbyteorder("<"))
    assert native.frames == (little.tobytes(),)


def test_a_lossless_codestream_gives_its_cells_and_itself():
    samples = np.array([[0, 4095], [7, 2048]], "u2")
    codestream = imagecodecs.jpeg2k_encode(
        samples, level=0, codecformat="j2k", bitspersample=12, reversible=True
    )
    data = dicoms.write(dicoms.compressed(samples, codestream, BitsStored=12), JPEG2000Lossless)
    native = native_frames(data, LIMITS)
    assert (native.frames, native.bits_allocated) == ((samples.astype("<u2").tobytes(),), 16)
    assert stored_frames(data, LIMITS)[0].rstrip(b"\0") == codestream.rstrip(b"\0")


@pytest.mark.parametrize(
    ("coded", "representation", "given"),
    [
        (np.array([[0, 2047], [-2048, -1]], "i2"), 0, [0, 2047, 2048, 4095]),
        (np.array([[0, 2047], [2048, 4095]], "u2"), 1, [0, 2047, -2048, -1]),
        (np.array([[0, 2047], [-2048, -1]], "i2"), 1, [0, 2047, -2048, -1]),
    ],
    ids=["signed codestream", "unsigned codestream", "signed both"],
)
def test_the_bits_above_high_bit_have_the_data_sets_sign(coded, representation, given):
    codestream = imagecodecs.jpeg2k_encode(
        coded, level=0, codecformat="j2k", bitspersample=12, reversible=True
    )
    fields = {"BitsStored": 12, "PixelRepresentation": representation}
    data = dicoms.write(dicoms.compressed(coded, codestream, **fields), JPEG2000Lossless)
    native = native_frames(data, LIMITS).frames[0]
    assert np.frombuffer(native, "<i2" if representation else "<u2").tolist() == given


def test_what_a_codestream_holds_above_high_bit_stays():
    cells = np.array([[0x8000, 0x87FF], [0x0800, 0x8FFF]], "u2")  # an overlay in bit 15
    codestream = imagecodecs.jpeg2k_encode(
        cells.view("i2"), level=0, codecformat="j2k", reversible=True
    )
    data = dicoms.write(dicoms.compressed(cells, codestream, BitsStored=12), JPEG2000Lossless)
    assert native_frames(data, LIMITS).frames == (cells.tobytes(),)


def test_a_lossy_codestream_keeps_within_bits_stored():
    samples = np.where(np.indices((32, 32)).sum(0) % 2, 4095, 0).astype("u2")
    codestream = imagecodecs.jpeg2k_encode(
        samples, level=30, codecformat="j2k", bitspersample=12, reversible=False
    )
    data = dicoms.write(dicoms.compressed(samples, codestream, BitsStored=12), JPEG2000)
    found = np.frombuffer(native_frames(data, LIMITS).frames[0], "<u2")
    assert found.max() <= 4095
    assert np.abs(found.reshape(32, 32).astype(int) - samples).mean() < 200


def test_compressed_colour_stays_compressed():
    samples = np.zeros((2, 2, 3), "u1")
    header = np.array([3, 64, 68, 72] + [0] * 12, "<u4").tobytes()
    codestream = header + b"\xfd\x00\x00\x00" * 3
    data = dicoms.write(dicoms.compressed(samples, codestream), RLELossless)
    assert stored_frames(data, LIMITS)[0].startswith(header)
    with pytest.raises(UnsupportedImageError):
        native_frames(data, LIMITS)


def test_missing_pixels_are_not_made_up():
    dataset = dicoms.image(np.zeros((4, 4), "u1"), Rows=8)
    with pytest.raises(TruncatedImageError):
        native_frames(dicoms.write(dataset), LIMITS)
