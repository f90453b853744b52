"""Mutated files end in frames or in a typed error; never in anything else.

Brief by default. For a long run: ``HYPOTHESIS_PROFILE=fuzz pytest tests/preprocess/test_fuzz.py``.
"""

import io
import os
import warnings

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image
from pydicom import dcmread
from pydicom.uid import (
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from preprocess import (
    DecodeWorkers,
    Frame,
    Header,
    InputSpec,
    Limits,
    MediaType,
    Percentile,
    PreprocessError,
    decode,
    measure,
    read_metadata,
    sniff,
    to_tensor,
)
from preprocess.decode import UNFORESEEN
from preprocess.workers import is_risky
from tests.preprocess import dicoms
from tests.preprocess.mutations import mutated
from tests.preprocess.pngs import ramp, write

EXAMPLES = 20_000 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 150
LIMITS = Limits(pixels=4_000_000, inflated_bytes=8 << 20)
SPEC = InputSpec(16, 16, intensity=Percentile(1, 99))
PICTURE = ramp(48, 40)
DEEP = ramp(48, 40, np.uint16, largest=4095)

fuzz = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=EXAMPLES < 1000,
)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpegs() -> list[bytes]:
    grey, exif = Image.fromarray(PICTURE), Image.Exif()
    exif[0x0112] = 6
    return [
        saved(grey, "JPEG", exif=exif),
        saved(grey, "JPEG", progressive=True),
        saved(grey.convert("RGB"), "JPEG", progressive=True),
        saved(grey.convert("CMYK"), "JPEG"),
    ]


def pngs() -> list[bytes]:
    grey = Image.fromarray(PICTURE)
    return [
        write(PICTURE),
        write(DEEP, interlace=True),
        saved(grey.convert("P"), "PNG"),
        saved(grey.convert("RGBA"), "PNG"),
    ]


def plain_dicoms() -> list[bytes]:
    window = {"WindowCenter": "1000", "WindowWidth": "900", "RescaleSlope": "1"}
    window |= {"RescaleIntercept": "-10"}
    table = dicoms.lut(list(range(0, 4096, 16)), first=0, bits=12)
    rle = dcmread(io.BytesIO(dicoms.write(dicoms.image(DEEP, BitsStored=12))))
    rle.compress(RLELossless, generate_instance_uid=False)
    jpeg = saved(Image.fromarray(PICTURE), "JPEG")
    lossless = imagecodecs.jpeg8_encode(DEEP, lossless=True, bitspersample=16)
    extended = imagecodecs.jpeg8_encode(DEEP, bitspersample=12)
    return [
        dicoms.write(dicoms.image(DEEP, BitsStored=12, **window)),
        dicoms.write(dicoms.image(PICTURE, VOILUTSequence=[table]), "1.2.840.10008.1.2"),
        dicoms.write(dicoms.image(DEEP, BitsStored=12), "1.2.840.10008.1.2.1.99"),
        dicoms.write(rle, RLELossless),
        dicoms.write(dicoms.compressed(PICTURE, jpeg), JPEGBaseline8Bit),
        dicoms.write(dicoms.compressed(DEEP, lossless), JPEGLosslessSV1),
        dicoms.write(dicoms.compressed(DEEP, extended, BitsStored=12), JPEGExtended12Bit),
        dicoms.write(dicoms.image(np.stack([PICTURE] * 3, axis=-1))),
        dicoms.write(
            dicoms.image(
                np.stack([PICTURE] * 3, axis=-1), PhotometricInterpretation="YBR_PARTIAL_422"
            )
        ),
    ]


def risky_dicoms() -> list[bytes]:
    jpeg2000 = imagecodecs.jpeg2k_encode(DEEP, level=0, codecformat="j2k", reversible=True)
    return [
        dicoms.write(dicoms.compressed(DEEP, jpeg2000), JPEG2000Lossless),
        dicoms.write(dicoms.compressed(DEEP, imagecodecs.jpegls_encode(DEEP)), JPEGLSLossless),
        dicoms.write(
            dicoms.compressed(DEEP, imagecodecs.htj2k_encode(DEEP, reversible=True)), HTJ2KLossless
        ),
    ]


def outcome(data: bytes, pool: DecodeWorkers) -> tuple[Header, tuple[Frame, ...]] | str:
    """The header and frames of a file, or the reason why it is refused."""
    try:
        media_type = sniff(data)
        header = measure(data, LIMITS)
        frames = pool.decode(data, LIMITS) if is_risky(data, LIMITS) else decode(data, LIMITS)
        if media_type is MediaType.DICOM:
            read_metadata(data, LIMITS)
    except PreprocessError as error:
        return error.reason
    return header, frames


def check(data: bytes, pool: DecodeWorkers) -> None:
    """Decode, and hold what comes of it to what is promised."""
    # pydicom warns of odd files; here as in the gateway that is not an error.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = outcome(data, pool)
    if isinstance(result, str):
        assert 0 < len(result) < 200
        assert result != UNFORESEEN
        return
    header, frames = result
    assert len(frames) == header.frames
    for frame in frames:
        assert frame.samples.shape == (frame.rows, frame.columns) == (header.rows, header.columns)
        assert frame.samples.max() <= frame.largest
        assert np.isfinite(to_tensor(frame, SPEC)).all()


@pytest.fixture(scope="module")
def pool():
    with DecodeWorkers(timeout_s=10) as workers:
        yield workers


@fuzz
@given(data=mutated(jpegs()))
def test_mutated_jpegs(data, pool):
    check(data, pool)


@fuzz
@given(data=mutated(pngs()))
def test_mutated_pngs(data, pool):
    check(data, pool)


@fuzz
@given(data=mutated(plain_dicoms()))
def test_mutated_dicoms(data, pool):
    check(data, pool)


@fuzz
@given(data=mutated(risky_dicoms()))
def test_mutated_dicoms_of_risky_codecs(data, pool):
    check(data, pool)


@pytest.mark.parametrize("samples", [jpegs, pngs, plain_dicoms, risky_dicoms])
def test_the_unmutated_samples_decode(samples, pool):
    for data in samples():
        assert pool.decode(data, LIMITS)[0].rows in (48, 40)
