import io

import imagecodecs
import numpy as np
import pytest
import simplejpeg
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array
from pydicom.uid import (
    JPEG2000,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from preprocess import (
    CorruptImageError,
    Header,
    InputSpec,
    Limits,
    MediaType,
    TooManyFramesError,
    TooManyPixelsError,
    TruncatedImageError,
    UnsupportedImageError,
    decode,
    measure,
    to_tensor,
)
from tests.preprocess import dicoms
from tests.preprocess.dicom_files import EIGHT, RNG, encoded, file, whites
from tests.preprocess.pngs import ramp


def as_pydicom_shows_it(data: bytes, ends: tuple[int, int] | None = None) -> np.ndarray:
    """Share of white by pydicom's own functions; from the first to the second end without window.

    pydicom spreads a window over the whole stored range.
    """
    dataset = dcmread(io.BytesIO(data))
    rescaled = apply_modality_lut(pixel_array(dataset), dataset).astype(np.float64)
    bits, signed = dataset.BitsStored, dataset.PixelRepresentation
    if ends is None:
        ends = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    low, high = sorted(apply_modality_lut(np.array(ends), dataset))
    values = apply_voi_lut(rescaled, dataset)
    share = np.clip((values - low) / (high - low), 0, 1)
    return 1 - share if dataset.PhotometricInterpretation == "MONOCHROME1" else share


@pytest.mark.parametrize(
    "name",
    [
        "MR_small.dcm",  # windowed
        "MR_small_implicit.dcm",
        "MR_small_expb.dcm",  # big endian
        "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm",
        "693_J2KI.dcm",  # signed 14 bits, and a group length before the pixels
        "J2K_pixelrep_mismatch.dcm",  # signed in the data set, unsigned in the codestream
        "image_dfl.dcm",  # deflated
        "examples_overlay.dcm",
        "dicomdirtests/77654033/CR1/6154",  # MONOCHROME1, 12 bits
    ],
)
def test_grey_files_agree_with_pydicom(name):
    data = file(name)
    np.testing.assert_allclose(whites(data)[0], as_pydicom_shows_it(data), atol=2e-5)


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("CT_small.dcm", (0, 4095)),  # signed 16 bits; 128 to 2191 in use, rescaled by -1024
        ("JPEG2000.dcm", (0, 255)),  # signed 16 bits; -30 to 245 in use, a lossy coding of 0 to 255
    ],
)
def test_files_without_window_agree_with_pydicom_over_the_bits_in_use(name, ends):
    data = file(name)
    np.testing.assert_allclose(whites(data)[0], as_pydicom_shows_it(data, ends), atol=2e-5)


def test_jpeg_ls_and_lossless_jpeg_agree_with_the_uncompressed_file():
    expected = whites(file("MR_small.dcm"))
    np.testing.assert_array_equal(whites(file("MR_small_jpeg_ls_lossless.dcm")), expected)


@pytest.mark.parametrize(
    "name",
    [
        "ExplVR_BigEnd.dcm",
        "SC_rgb_small_odd.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_rle_2frame.dcm",
        "SC_rgb_rle_16bit.dcm",
        "SC_rgb_jpeg_dcmd.dcm",
        "SC_rgb_dcmtk_+eb+cr.dcm",  # JPEG of RGB components
        "SC_rgb_jpeg_app14_dcmd.dcm",
        "SC_jpeg_no_color_transform.dcm",
        "SC_rgb_gdcm_KY.dcm",  # JPEG 2000
        "examples_jpeg2k.dcm",  # reversible colour transform
        "examples_rgb_color.dcm",
    ],
)
def test_rgb_files_give_luma(name):
    data = file(name)
    dataset = dcmread(io.BytesIO(data))
    luma = pixel_array(dataset) @ [0.299, 0.587, 0.114] / (2**dataset.BitsStored - 1)
    frames = whites(data)
    # A grey level for rounding the luma, and one for the codecs' roundings where lossy.
    assert np.abs(frames - luma.reshape(frames.shape)).max() <= 1.1 / 255


@pytest.mark.parametrize(
    "name",
    [
        "SC_rgb_dcmtk_+eb+cy+n1.dcm",
        "SC_rgb_dcmtk_+eb+cy+np.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "SC_rgb_jpeg_lossy_gdcm.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "examples_ybr_color.dcm",
    ],
)
def test_ybr_files_give_their_luma(name):
    data = file(name)
    luma = pixel_array(dcmread(io.BytesIO(data)), raw=True)[..., 0] / 255
    frames = whites(data)
    assert np.abs(frames - luma.reshape(frames.shape)).max() <= 1.1 / 255


def test_deep_jpeg(images):
    (frame,) = decode((images / "cr_hip_mono2_10bit_jpeg_extended.dcm").read_bytes())
    assert (frame.rows, frame.columns, frame.bits_stored) == (2140, 1760, 16)
    # libjpeg decodes these pixels to 894, 494, 1 and 821; the window is 511, 1024.
    points = frame.samples[[100, 1000, 1500, 200], [100, 900, 300, 1700]] / 65535
    expected = (np.array([894, 494, 1, 821]) - 510.5) / 1023 + 0.5
    np.testing.assert_allclose(points, expected, atol=1.1 / 1023)


def test_lossy_jpeg_2000_of_fifteen_bits(images):
    (frame,) = decode((images / "cr_chest_mono1_15bit_j2k_lossy.dcm").read_bytes())
    # OpenJPEG gives 22105, 3521, 2937 and 14004 here; MONOCHROME1, window 15000, 30000.
    points = frame.samples[[100, 1000, 1500, 200], [100, 900, 300, 1700]] / 65535
    expected = 1 - ((np.array([22105, 3521, 2937, 14004]) - 14999.5) / 29999 + 0.5)
    np.testing.assert_allclose(points, expected, atol=1e-4)


def test_dicom_of_a_jpeg_is_that_jpeg(images):
    spec = InputSpec(224, 224)
    jpeg = to_tensor(decode((images / "NORMAL2-IM-0635-0001.jpeg").read_bytes())[0], spec)
    dicom = to_tensor(decode((images / "kermany_jpeg_baseline.dcm").read_bytes())[0], spec)
    assert np.abs(jpeg - dicom).max() <= 1.01 / 255


def test_measure_reads_the_attributes(images):
    data = (images / "kermany_deflated.dcm").read_bytes()
    assert measure(data) == Header(MediaType.DICOM, rows=736, columns=952, bits_stored=8)
    ybr = measure(file("examples_ybr_color.dcm"))
    assert (ybr.frames, ybr.samples_per_pixel) == (30, 3)


# One picture, coded in every way.

TWELVE = ramp(60, 90, np.uint16, largest=4095)
SIXTEEN = ramp(60, 90, np.uint16)
NOISE = RNG.integers(0, 65536, (61, 45), np.uint16)


LOSSLESS = [
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    JPEG2000,
    HTJ2KLossless,
]


@pytest.mark.parametrize("samples", [EIGHT, SIXTEEN, NOISE], ids=["8", "16", "noise"])
@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_lossless_codings_give_every_sample(samples, syntax):
    data = dicoms.write(dicoms.compressed(samples, encoded(samples, syntax)), syntax)
    (frame,) = decode(data)
    np.testing.assert_array_equal(frame.samples, samples)


@pytest.mark.parametrize("samples", [EIGHT, TWELVE, NOISE], ids=["8", "12", "noise"])
def test_rle_gives_every_sample(samples):
    dataset = dcmread(io.BytesIO(dicoms.write(dicoms.image(samples))))
    dataset.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(decode(dicoms.write(dataset, RLELossless))[0].samples, samples)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_signed_samples_survive_compression(syntax):
    samples = (NOISE.astype(np.int32) - 32768).astype(np.int16)
    codestream = encoded(samples.view(np.uint16), syntax)
    (frame,) = decode(dicoms.write(dicoms.compressed(samples, codestream), syntax))
    np.testing.assert_array_equal(frame.samples, NOISE)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
def test_every_truncated_coding_is_refused(syntax):
    codestream = encoded(NOISE, syntax)
    for kept in (0.1, 0.5, 0.9, 0.98):
        cut = codestream[: int(len(codestream) * kept)]
        for end in (b"", b"\xff\xd9"):
            data = dicoms.write(dicoms.compressed(NOISE, cut + end), syntax)
            with pytest.raises(CorruptImageError):
                decode(data)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda uid: uid.name)
@pytest.mark.parametrize("shape", [(60, 45), (62, 45), (61, 44), (122, 90), (4000, 4000)])
def test_codestream_of_another_size_is_refused(syntax, shape):
    other = dicoms.compressed(NOISE, encoded(NOISE, syntax), Rows=shape[0], Columns=shape[1])
    with pytest.raises(CorruptImageError):
        decode(dicoms.write(other, syntax))


def test_large_codestream_behind_a_small_declaration_is_refused_before_it_is_decoded():
    for syntax in LOSSLESS:
        codestream = encoded(np.zeros((3000, 3000), np.uint8), syntax)
        small = dicoms.compressed(np.zeros((8, 8), np.uint8), codestream)
        with pytest.raises(CorruptImageError, match="another size"):
            decode(dicoms.write(small, syntax))


def deep_jpeg() -> bytes:
    smooth = np.add.outer(np.arange(240), np.arange(320)).astype(np.uint16) * 7
    return imagecodecs.jpeg8_encode(smooth, level=90, bitspersample=12)


def test_twelve_bit_jpeg_whole_cut_and_long():
    samples = np.zeros((240, 320), np.uint16)
    codestream = deep_jpeg()
    whole = dicoms.compressed(samples, codestream, BitsStored=12)
    (frame,) = decode(dicoms.write(whole, JPEGExtended12Bit))
    assert abs(int(frame.samples[120, 160]) - 280 * 7) < 20
    for kept in (0.3, 0.7, 0.95):
        cut = codestream[: int(len(codestream) * kept)] + b"\xff\xd9"
        with pytest.raises(TruncatedImageError):
            decode(dicoms.write(dicoms.compressed(samples, cut, BitsStored=12), JPEGExtended12Bit))
    half = np.zeros((120, 320), np.uint16)
    at = codestream.index(b"\xff\xc1") + 5
    shorter = codestream[:at] + (120).to_bytes(2) + codestream[at + 2 :]
    with pytest.raises(CorruptImageError):
        decode(dicoms.write(dicoms.compressed(half, shorter, BitsStored=12), JPEGExtended12Bit))


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (17, 33), (100, 100)])
@pytest.mark.parametrize("level", [0, 1, 2048, 4095])
@pytest.mark.parametrize("noisy", [False, True])
def test_deep_jpegs_of_every_kind_are_taken_for_whole(shape, level, noisy):
    samples = np.full(shape, level, np.uint16)
    if noisy:
        samples[: shape[0] // 2] = RNG.integers(0, 4096, (shape[0] // 2, shape[1]))
    for syntax, options in (
        (JPEGExtended12Bit, {"level": 95, "bitspersample": 12}),
        (JPEGLosslessSV1, {"lossless": True, "bitspersample": 12}),
        (JPEGLosslessSV1, {"lossless": True, "bitspersample": 16}),
    ):
        codestream = imagecodecs.jpeg8_encode(samples, **options)
        fill = codestream[:-2] + b"\xff\xff" + codestream[-2:]
        for stream in (codestream, fill):
            data = dicoms.write(dicoms.compressed(samples, stream, BitsStored=12), syntax)
            (frame,) = decode(data)
            if "lossless" in options:
                np.testing.assert_array_equal(frame.samples, samples)


def test_deep_jpegs_of_every_length_are_taken_for_whole():
    # The last bytes of noise fall in every way, stuffed zeros among them.
    for size in range(20, 120):
        samples = RNG.integers(0, 65536, (7, size), np.uint16)
        codestream = imagecodecs.jpeg8_encode(samples, lossless=True, bitspersample=16)
        data = dicoms.write(dicoms.compressed(samples, codestream), JPEGLosslessSV1)
        np.testing.assert_array_equal(decode(data)[0].samples, samples)


def test_baseline_frame_is_held_to_the_rules_of_jpeg_files(radiograph):
    samples = np.zeros((712, 984), np.uint8)
    whole = dicoms.write(dicoms.compressed(samples, radiograph), JPEGBaseline8Bit)
    expected = simplejpeg.decode_jpeg(radiograph, "GRAY")[..., 0]
    np.testing.assert_array_equal(decode(whole)[0].samples, expected)
    cut = dicoms.compressed(samples, radiograph[:20_000] + b"\xff\xd9")
    with pytest.raises(CorruptImageError):
        decode(dicoms.write(cut, JPEGBaseline8Bit))


# Where samples lie in their cells.


# Several frames.


def test_every_frame_becomes_a_picture():
    stack = RNG.integers(0, 256, (3, 4, 6), np.uint8)
    dataset = dicoms.image(stack.reshape(12, 6), NumberOfFrames=3, Rows=4)
    frames = decode(dicoms.write(dataset))
    np.testing.assert_array_equal(np.stack([frame.samples for frame in frames]), stack)


@pytest.mark.parametrize("offsets", [True, False])
def test_compressed_frames(offsets):
    stack = RNG.integers(0, 256, (3, 16, 16), np.uint8)
    streams = [encoded(picture, JPEGLSLossless) for picture in stack]
    dataset = dicoms.compressed(stack[0], *streams, offsets=offsets, NumberOfFrames=3)
    frames = decode(dicoms.write(dataset, JPEGLSLossless))
    np.testing.assert_array_equal(np.stack([frame.samples for frame in frames]), stack)


def test_limits_of_frames_and_pixels():
    dataset = dicoms.image(np.zeros((12, 6), np.uint8), NumberOfFrames=3, Rows=4)
    data = dicoms.write(dataset)
    assert len(decode(data, Limits(pixels=72, frames=3))) == 3
    with pytest.raises(TooManyFramesError) as caught:
        decode(data, Limits(frames=2))
    assert (caught.value.frames, caught.value.limit_frames) == (3, 2)
    with pytest.raises(TooManyPixelsError) as caught_pixels:
        decode(data, Limits(pixels=71))
    assert caught_pixels.value.frames == 3


def test_wrong_offset_table_of_one_frame_does_not_matter():
    data = bytearray(
        dicoms.write(dicoms.compressed(EIGHT, encoded(EIGHT, JPEGLSLossless)), JPEGLSLossless)
    )
    at = data.index(b"\xfe\xff\x00\xe0\x04\x00\x00\x00") + 8
    data[at : at + 4] = b"\x99\x99\x00\x00"
    np.testing.assert_array_equal(decode(bytes(data))[0].samples, EIGHT)


def test_wrong_offset_table_of_frames_in_one_fragment_each_does_not_matter():
    streams = [encoded(EIGHT, JPEGLSLossless)] * 2
    dataset = dicoms.compressed(EIGHT, *streams, NumberOfFrames=2)
    data = bytearray(dicoms.write(dataset, JPEGLSLossless))
    at = data.index(b"\xfe\xff\x00\xe0\x08\x00\x00\x00") + 12
    data[at : at + 4] = b"\x99\x00\x00\x00"
    for frame in decode(bytes(data)):
        np.testing.assert_array_equal(frame.samples, EIGHT)


def test_wrong_offset_table_of_frames_in_pieces_is_refused():
    streams = [encoded(EIGHT, JPEGLSLossless)] * 2
    dataset = dicoms.compressed(EIGHT, NumberOfFrames=2)
    dataset.PixelData = encapsulate(streams, fragments_per_frame=2)
    data = bytearray(dicoms.write(dataset, JPEGLSLossless))
    assert len(decode(bytes(data))) == 2
    at = data.index(b"\xfe\xff\x00\xe0\x08\x00\x00\x00") + 12
    data[at : at + 4] = b"\x99\x00\x00\x00"
    with pytest.raises(CorruptImageError):
        decode(bytes(data))


# What is no picture, or contradicts itself.


def test_unknown_transfer_syntax_is_refused():
    data = dicoms.write(dicoms.image(EIGHT)).replace(
        b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0"
    )
    with pytest.raises(UnsupportedImageError):
        decode(data)


def test_truncated_file_is_refused_wherever_it_ends():
    whole = dicoms.write(dicoms.image(EIGHT))
    for length in range(132, len(whole), 97):
        with pytest.raises((CorruptImageError, UnsupportedImageError)):
            decode(whole[:length])


def test_more_pixels_than_declared_are_refused():
    with pytest.raises(CorruptImageError):
        decode(dicoms.write(dicoms.image(EIGHT, Rows=30)))


def test_picture_is_the_same_under_every_uncompressed_syntax():
    reference = Image.fromarray(EIGHT)
    for syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"):
        (frame,) = decode(dicoms.write(dicoms.image(EIGHT), syntax))
        np.testing.assert_array_equal(frame.samples, np.asarray(reference))


# What other software writes, and a reader that trusts it shows wrongly.


@pytest.mark.parametrize("syntax", [*LOSSLESS, JPEGBaseline8Bit])
@pytest.mark.parametrize("fields", [{}, {"NumberOfFrames": 1}, {"NumberOfFrames": 0}])
def test_a_second_codestream_under_one_frame_is_refused(syntax, fields):
    if syntax == JPEGBaseline8Bit:
        stream = simplejpeg.encode_jpeg(EIGHT[..., None], colorspace="GRAY")
    else:
        stream = encoded(EIGHT, syntax)
    dataset = dicoms.compressed(EIGHT, stream, stream, **fields)
    with pytest.raises(CorruptImageError, match="more frames than Number of Frames says"):
        decode(dicoms.write(dataset, syntax))


def test_one_frame_in_many_fragments_is_one():
    stream = encoded(EIGHT, JPEGLSLossless)
    dataset = dicoms.compressed(EIGHT, stream)
    dataset.PixelData = encapsulate([stream], fragments_per_frame=5)
    (frame,) = decode(dicoms.write(dataset, JPEGLSLossless))
    np.testing.assert_array_equal(frame.samples, EIGHT)
