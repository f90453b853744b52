"""Blank pictures, in every format, and pictures that have just enough to be read."""

import io
import math

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.uid import JPEG2000Lossless

from preprocess import (
    Frame,
    FullRange,
    GreyRange,
    GreyShares,
    NoContrastError,
    Percentile,
    Window,
    check_contrast,
    decode,
    grey_shares,
)
from tests.preprocess import dicoms, pngs


def frame(samples, bits: int = 8) -> Frame:
    array = np.asarray(samples, np.uint8 if bits <= 8 else np.uint16)
    return Frame(array, bits, *array.shape)


def picture(low: int, high: int, *, of_high: int, side: int = 100, dtype=np.uint8) -> np.ndarray:
    """A square of one level, of which so many pixels have another."""
    samples = np.full(side * side, low, dtype)
    samples[:of_high] = high
    return samples.reshape(side, side)


def jpeg(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(samples).save(out, "JPEG", quality=95)
    return out.getvalue()


def jpeg_2000(samples: np.ndarray) -> bytes:
    stream = imagecodecs.jpeg2k_encode(samples, level=0, codecformat="j2k", reversible=True)
    return dicoms.write(dicoms.compressed(samples, stream), JPEG2000Lossless)


FORMATS = {
    "JPEG": jpeg,
    "PNG": pngs.write,
    "PNG, 16 bits": lambda samples: pngs.write(samples.astype(np.uint16) * 257),
    "DICOM": lambda samples: dicoms.write(dicoms.image(samples)),
    "DICOM, 12 bits": lambda samples: dicoms.write(
        dicoms.image(samples.astype(np.uint16) * 16, BitsStored=12)
    ),
    "DICOM, MONOCHROME1": lambda samples: dicoms.write(
        dicoms.image(samples, PhotometricInterpretation="MONOCHROME1")
    ),
    "DICOM, RGB": lambda samples: dicoms.write(dicoms.image(np.stack([samples] * 3, axis=-1))),
    "DICOM, JPEG 2000": jpeg_2000,
}
BLANK = {
    "black": picture(0, 0, of_high=0),
    "white": picture(255, 255, of_high=0),
    "grey": picture(100, 100, of_high=0),
    "one stray bright pixel": picture(0, 255, of_high=1),
    "a few stray bright pixels": picture(0, 255, of_high=40),
    "one stray dark pixel": picture(255, 0, of_high=1),
    "one pixel": picture(70, 70, of_high=0, side=1),
    "four pixels, one of them bright": picture(0, 255, of_high=1, side=2),
}


@pytest.mark.parametrize("samples", BLANK.values(), ids=BLANK)
@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_blank_pictures_are_refused(write, samples):
    with pytest.raises(NoContrastError) as caught:
        check_contrast(decode(write(samples)))
    assert caught.value.reason == ("as shown, 99 in 100 pixels lie within 2 of 255 grey levels")


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_a_picture_of_little_contrast_is_read(write):
    check_contrast(decode(write(picture(100, 110, of_high=5000))))


@pytest.mark.parametrize(
    ("of_high", "blank"),
    [(50, True), (51, False), (5000, False), (9949, False), (9950, True)],
)
def test_half_a_percent_of_the_pixels_is_left_out_at_either_end(of_high, blank):
    samples = picture(0, 255, of_high=of_high)
    assert bool(np.subtract(*np.percentile(samples, (99.5, 0.5), method="nearest")) == 0) == blank
    if blank:
        with pytest.raises(NoContrastError):
            check_contrast([frame(samples)])
    else:
        check_contrast([frame(samples)])


@pytest.mark.parametrize("seed", range(60))
def test_part_of_the_samples_tells_what_all_of_them_tell(seed):
    random = np.random.default_rng(seed)
    samples = np.full(tuple(random.integers(1, 90, 2)), 100, np.uint8)
    # On the rows and columns that are looked at first, or off them; few or many.
    rows, columns = random.integers(0, 4, 2)
    part = samples[rows :: random.integers(1, 25), columns :: random.integers(1, 25)]
    part[...] = 100 + random.integers(0, 6, part.shape)
    ascending = np.sort(samples, axis=None).astype(int)
    tail = math.ceil(0.005 * (samples.size - 1))
    if ascending[-1 - tail] - ascending[tail] >= 2:
        check_contrast([frame(samples)])
    else:
        with pytest.raises(NoContrastError):
            check_contrast([frame(samples)])


@pytest.mark.parametrize(("bits", "least"), [(1, 1), (4, 1), (8, 2), (10, 9), (12, 33), (16, 514)])
def test_two_of_255_are_enough_and_less_is_not(bits, least):
    for low in range(0, (1 << bits) - least, max(1, least // 2)):
        check_contrast([frame(picture(low, low + least, of_high=5000, dtype=np.uint16), bits)])
    with pytest.raises(NoContrastError):
        check_contrast([frame(picture(0, least - 1, of_high=5000, dtype=np.uint16), bits)])


@pytest.mark.parametrize(
    "fields",
    [
        {"WindowCenter": "1e9", "WindowWidth": "10"},
        {"WindowCenter": "-500", "WindowWidth": "100"},
        {"WindowCenter": "5000", "WindowWidth": "1"},
        {"WindowCenter": "-1e9", "WindowWidth": "10", "VOILUTFunction": "SIGMOID"},
        {"VOILUTSequence": [dicoms.lut([5, 5], 0, 16)]},
        {"VOILUTSequence": [dicoms.lut([0, 65535], 300, 16)]},
        {"ModalityLUTSequence": [dicoms.lut([5, 5], 0, 16)]},
        {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 255},
        {"WindowCenter": "1e9", "WindowWidth": "10", "PhotometricInterpretation": "MONOCHROME1"},
    ],
)
def test_a_picture_outside_of_what_is_shown_is_blank(fields):
    with pytest.raises(NoContrastError):
        check_contrast(decode(dicoms.write(dicoms.image(pngs.ramp(40, 50), **fields))))


@pytest.mark.parametrize(
    ("intensity", "blank"),
    [
        (FullRange(), False),
        (Percentile(1, 99), False),
        (Window(0.5, 1.0), False),
        (Window(0.1, 0.2), False),
        (Window(0.8, 0.2), True),
        (Window(-0.5, 0.2), True),
    ],
)
def test_what_a_models_own_window_cuts_off_does_not_count(intensity, blank):
    frames = [frame(picture(20, 60, of_high=5000))]
    if blank:
        with pytest.raises(NoContrastError):
            check_contrast(frames, intensity)
    else:
        check_contrast(frames, intensity)


def test_one_blank_frame_refuses_the_object_and_is_named():
    stack = np.concatenate([pngs.ramp(20, 30)] * 3)
    stack[20:40] = 0
    frames = decode(dicoms.write(dicoms.image(stack, NumberOfFrames=3, Rows=20)))
    check_contrast([frames[0], frames[2]])
    with pytest.raises(NoContrastError) as caught:
        check_contrast(frames)
    assert caught.value.blank_frames == [2]
    assert caught.value.reason == (
        "frame 2: as shown, 99 in 100 pixels lie within 2 of 255 grey levels"
    )


def test_many_blank_frames_are_named_in_brief():
    with pytest.raises(NoContrastError) as caught:
        check_contrast([frame(BLANK["black"])] * 12)
    assert caught.value.reason.startswith("frames 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and more: as")


def test_committed_radiographs_are_read(images):
    for path in sorted([*images.glob("*.jpeg"), *images.glob("*.png"), *images.glob("*.dcm")]):
        check_contrast(decode(path.read_bytes()))


@pytest.mark.parametrize(
    ("shown", "intensity", "expected"),
    [
        (GreyRange(), None, GreyShares(contrast=1.0, black=0.25, white=0.25)),
        # The window's black is at 51, its white at 204, of levels 0, 51, 204 and 255.
        (GreyRange(0.2, 0.8), Window(0.5, 0.6), GreyShares(contrast=1.0, black=0.5, white=0.5)),
        (GreyRange(-0.5, 1.5), Window(0.5, 2.0), GreyShares(contrast=0.5, black=0.0, white=0.0)),
    ],
)
@pytest.mark.parametrize("bits", [8, 16])
def test_shares_of_black_and_white(shown, intensity, expected, bits: int):
    levels = np.array([0, 51, 204, 255]) * (1 if bits == 8 else 257)
    shares = grey_shares(frame(levels.repeat(2500).reshape(100, 100), bits), shown, intensity)
    found = (shares.contrast, shares.black, shares.white)
    assert found == pytest.approx((expected.contrast, expected.black, expected.white), abs=1e-9)


def test_shares_of_a_flat_picture_without_a_range():
    shares = grey_shares(frame(np.full((4, 4), 7)), GreyRange(7 / 255, 7 / 255))
    assert shares == GreyShares(contrast=0.0, black=1.0, white=1.0)
