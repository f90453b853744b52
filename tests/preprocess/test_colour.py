"""Colour frames whose label, markers and looks agree, or not."""

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from preprocess import CorruptImageError, decode
from preprocess.colour import ColourModel, settle
from preprocess.jpeg import read_header
from tests.preprocess import codestreams, dicoms
from tests.preprocess.pngs import ramp

RGB, YCBCR = ColourModel.RGB, ColourModel.YCBCR
GREY = ramp(64, 96)
RADIOGRAPH = np.stack([GREY] * 3, axis=-1)  # as RGB
YCC = np.dstack([GREY, np.full_like(GREY, 128), np.full_like(GREY, 128)])
COLOURFUL = np.random.default_rng(5).integers(0, 256, (8, 12, 3)).repeat(8, 0).repeat(8, 1)
COLOURFUL = COLOURFUL.astype(np.uint8)
LUMA = COLOURFUL @ [0.299, 0.587, 0.114]

JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def adobe(transform: int) -> bytes:
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes((transform,))


def bare(
    components: np.ndarray, *markers: bytes, ids: bytes = b"\1\2\3", level: int = 97, **options
) -> bytes:
    """A JPEG of these very components, with the markers and identifiers given and no others."""
    return marked(
        imagecodecs.jpeg8_encode(
            components, level=level, colorspace="RGB", outcolorspace="RGB", **options
        ),
        *markers,
        ids=ids,
    )


def marked(stream: bytes, *markers: bytes, ids: bytes = b"\1\2\3") -> bytes:
    while stream[2:4] in (b"\xff\xe0", b"\xff\xee"):
        stream = stream[:2] + stream[4 + int.from_bytes(stream[4:6]) :]
    head = bytearray(stream)
    frame = next(at for at in map(stream.find, (b"\xff\xc0", b"\xff\xc1", b"\xff\xc3")) if at >= 0)
    scan = stream.index(b"\xff\xda")
    head[frame + 10 : frame + 19 : 3] = ids
    head[scan + 5 : scan + 11 : 2] = ids
    return bytes(head[:2]) + b"".join(markers) + bytes(head[2:])


def ycc_jpeg(rgb: np.ndarray, *markers: bytes, subsampling: str = "444") -> bytes:
    """A JPEG that its encoder transformed to YCbCr, with two quantization tables."""
    return marked(imagecodecs.jpeg8_encode(rgb, level=97, subsampling=subsampling), *markers)


def shown(picture: np.ndarray, stream: bytes, label: str, syntax=JPEGBaseline8Bit) -> np.ndarray:
    data = dicoms.compressed(picture, stream, PhotometricInterpretation=label)
    return decode(dicoms.write(data, syntax))[0].samples.astype(int)


def refused(picture: np.ndarray, stream: bytes, label: str, syntax=JPEGBaseline8Bit) -> str:
    with pytest.raises(CorruptImageError) as caught:
        shown(picture, stream, label, syntax)
    return caught.value.reason


# JPEG by its markers.


@pytest.mark.parametrize("label", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize(
    "stream",
    [
        ycc_jpeg(COLOURFUL, JFIF),
        ycc_jpeg(COLOURFUL, adobe(1)),
        ycc_jpeg(COLOURFUL, JFIF, adobe(1)),
        ycc_jpeg(COLOURFUL),
        ycc_jpeg(COLOURFUL, subsampling="422"),
        ycc_jpeg(COLOURFUL, subsampling="420"),
    ],
    ids=["JFIF", "Adobe", "JFIF and Adobe", "second table", "4:2:2", "4:2:0"],
)
def test_ycbcr_jpeg_gives_its_luma_under_every_label(label, stream):
    assert np.abs(shown(COLOURFUL, stream, label) - LUMA).mean() < 2


@pytest.mark.parametrize("label", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize(
    "stream",
    [bare(COLOURFUL, adobe(0)), bare(COLOURFUL, ids=b"RGB"), bare(COLOURFUL, adobe(0), ids=b"RGB")],
    ids=["Adobe", "identifiers", "both"],
)
def test_rgb_jpeg_gives_its_luma_under_every_label(label, stream):
    assert np.abs(shown(COLOURFUL, stream, label) - LUMA).mean() < 2


def test_without_any_marker_the_label_counts():
    stream = bare(COLOURFUL)
    assert np.abs(shown(COLOURFUL, stream, "RGB") - LUMA).mean() < 2
    assert np.abs(shown(COLOURFUL, stream, "YBR_FULL") - COLOURFUL[..., 0]).mean() < 2


@pytest.mark.parametrize("ids", [b"\1\2\3", b"\0\1\2"])
def test_label_that_the_picture_contradicts_is_refused(ids):
    assert refused(YCC, bare(YCC, ids=ids), "RGB") == (
        "a colour frame holds YCbCr where RGB is declared: Photometric Interpretation is wrong"
    )
    tinted = RADIOGRAPH // np.array([1, 1, 2], np.uint8)
    assert np.abs(shown(RADIOGRAPH, bare(RADIOGRAPH, ids=ids), "RGB") - GREY).mean() < 2
    # One plane of a grey picture is its luma, whatever it is called.
    assert np.abs(shown(RADIOGRAPH, bare(RADIOGRAPH, ids=ids), "YBR_FULL") - GREY).mean() < 2
    assert np.abs(shown(tinted, bare(tinted), "RGB") - tinted @ [0.299, 0.587, 0.114]).mean() < 2


def test_tinted_films_are_grey_pictures_too():
    film = np.dstack([GREY // 2 + 20, GREY // 2 + 30, GREY // 2 + 90])
    luma = film @ [0.299, 0.587, 0.114]
    assert np.abs(shown(film, bare(film), "RGB") - luma).mean() < 2
    assert refused(film, bare(film), "YBR_FULL").startswith("a colour frame holds RGB")
    ycc = np.dstack([GREY // 2 + 40, np.full_like(GREY, 160), np.full_like(GREY, 115)])
    assert np.abs(shown(ycc, bare(ycc), "YBR_FULL") - ycc[..., 0]).mean() < 2
    assert refused(ycc, bare(ycc), "RGB").startswith("a colour frame holds YCbCr")


@pytest.mark.parametrize("marker", [JFIF, adobe(1)])
def test_markers_of_ycbcr_over_rgb_are_refused(marker):
    dark = GREY // 4
    reddish = np.dstack([dark + 8, dark, dark])
    assert refused(reddish, bare(reddish, marker), "RGB") == (
        "a colour frame holds RGB where YCbCr is declared: Photometric Interpretation is wrong"
    )


def test_marker_of_rgb_over_ycbcr_is_refused():
    for label in ("RGB", "YBR_FULL"):
        assert refused(YCC, bare(YCC, adobe(0)), label).startswith("a colour frame holds YCbCr")


@pytest.mark.parametrize(
    "stream",
    [
        bare(COLOURFUL, JFIF, adobe(0)),
        bare(COLOURFUL, JFIF, ids=b"RGB"),
        bare(COLOURFUL, adobe(1), ids=b"RGB"),
        ycc_jpeg(COLOURFUL, adobe(0), subsampling="420"),
    ],
    ids=["JFIF, Adobe", "JFIF, identifiers", "Adobe, identifiers", "Adobe, 4:2:0"],
)
def test_markers_that_contradict_each_other_are_refused(stream):
    for label in ("RGB", "YBR_FULL"):
        assert refused(COLOURFUL, stream, label) == (
            "the markers of a colour frame contradict each other"
        )


def test_the_picture_decides_where_markers_contradict_each_other():
    assert np.abs(shown(YCC, bare(YCC, JFIF, adobe(0)), "RGB") - GREY).mean() < 2


def test_damage_is_seen_whatever_the_colours_are():
    stream = bare(COLOURFUL)
    cut = stream[: len(stream) // 2] + b"\xff\xd9"
    for label in ("RGB", "YBR_FULL"):
        assert refused(COLOURFUL, cut, label) == "the JPEG's compressed data are damaged"


def test_adobe_marker_too_short_for_a_transform_says_nothing():
    stream = marked(bare(COLOURFUL), b"\xff\xee\0\x07Adobe")
    assert read_header(stream).colour_models == frozenset()
    assert np.abs(shown(COLOURFUL, stream, "RGB") - LUMA).mean() < 2


# Deep JPEG: its components come as they are coded.


def test_twelve_bit_colour():
    deep = COLOURFUL.astype(np.uint16) * 16
    ycc = imagecodecs.jpeg8_encode(deep, level=97, bitspersample=12)
    data = dicoms.compressed(deep, ycc, BitsStored=12, PhotometricInterpretation="YBR_FULL")
    (frame,) = decode(dicoms.write(data, JPEGExtended12Bit))
    assert np.abs(frame.samples / 16 - LUMA).mean() < 2


def lossless(components: np.ndarray, *markers: bytes) -> bytes:
    return bare(components, *markers, level=None, lossless=True, predictor=1)


def test_lossless_colour_by_its_label():
    for markers in ((), (JFIF,), (adobe(0),)):  # JFIF is of DCT alone (T.871)
        stream = lossless(COLOURFUL, *markers)
        assert np.abs(shown(COLOURFUL, stream, "RGB", JPEGLosslessSV1) - LUMA).max() <= 1
    for markers in ((), (JFIF,), (adobe(1),)):
        stream = lossless(COLOURFUL, *markers)
        found = shown(COLOURFUL, stream, "YBR_FULL", JPEGLosslessSV1)
        np.testing.assert_array_equal(found, COLOURFUL[..., 0])


# Labels of the other codings.


def other(kind: str, components: np.ndarray, label: str) -> bytes:
    match kind:
        case "native":
            codec = codestreams.CODECS[1]
            assert codec.syntax == ExplicitVRLittleEndian
            return codestreams.file(codec, components, PhotometricInterpretation=label)
        case "RLE":
            syntax, stream = RLELossless, codestreams.rle(components)
        case "JPEG-LS":
            syntax, stream = JPEGLSLossless, imagecodecs.jpegls_encode(components)
        case "JPEG lossless":
            syntax, stream = JPEGLosslessSV1, lossless(components)
        case _:
            syntax = JPEG2000Lossless
            stream = imagecodecs.jpeg2k_encode(
                components, level=0, codecformat="j2k", reversible=True, mct=kind == "J2K, MCT"
            )
    data = dicoms.compressed(components, stream, PhotometricInterpretation=label)
    return dicoms.write(data, syntax)


KINDS = ["native", "RLE", "JPEG-LS", "JPEG lossless", "J2K"]


@pytest.mark.parametrize("kind", KINDS)
def test_chroma_under_an_rgb_label_is_refused(kind):
    with pytest.raises(CorruptImageError, match="holds YCbCr where RGB is declared"):
        decode(other(kind, YCC, "RGB"))
    np.testing.assert_array_equal(decode(other(kind, YCC, "YBR_FULL"))[0].samples, GREY)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_colour(kind):
    (frame,) = decode(other(kind, COLOURFUL, "RGB"))
    assert np.abs(frame.samples - LUMA).max() <= 1
    (frame,) = decode(other(kind, COLOURFUL, "YBR_FULL"))
    np.testing.assert_array_equal(frame.samples, COLOURFUL[..., 0])


@pytest.mark.parametrize("label", ["RGB", "YBR_RCT", "YBR_ICT", "YBR_FULL", "YBR_FULL_422"])
def test_transform_of_jpeg_2000_means_rgb(label):
    (frame,) = decode(other("J2K, MCT", COLOURFUL, label))
    assert np.abs(frame.samples - LUMA).max() <= 1


@pytest.mark.parametrize("label", ["YBR_RCT", "YBR_ICT"])
def test_transform_that_a_label_only_claims(label):
    (frame,) = decode(other("J2K", COLOURFUL, label))
    assert np.abs(frame.samples - LUMA).max() <= 1
    with pytest.raises(CorruptImageError, match="holds YCbCr"):
        decode(other("J2K", YCC, label))


def test_settle_by_hand():
    flat = np.full((4, 4, 3), 128, np.uint8)
    for label in ColourModel:
        assert settle(label, frozenset(), flat, 8) is label
        assert settle(label, {RGB}, flat, 8) is RGB
    deep = YCC.astype(np.uint16) * 16
    assert settle(YCBCR, frozenset(), deep, 12) is YCBCR
    with pytest.raises(CorruptImageError):
        settle(RGB, frozenset(), deep, 12)
    with pytest.raises(CorruptImageError, match="contradict each other"):
        settle(RGB, {RGB, YCBCR}, flat, 8)
