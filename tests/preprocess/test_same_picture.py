"""One radiograph, coded in every way that a hospital may send it, gives one tensor."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from preprocess import InputSpec, decode, to_tensor
from tests.preprocess import dicoms, pngs

SPEC = InputSpec(rows=224, columns=224)


@pytest.fixture(scope="module")
def picture(images):
    """A radiograph of 8 bits."""
    return decode((images / "person699_virus_1295.jpeg").read_bytes())[0].samples


def saved(samples, kind: str, **options) -> bytes:
    out = io.BytesIO()
    Image.fromarray(samples).save(out, kind, **options)
    return out.getvalue()


def rle(samples) -> bytes:
    dataset = dcmread(io.BytesIO(dicoms.write(dicoms.image(samples))))
    dataset.compress(RLELossless, generate_instance_uid=False)
    return dicoms.write(dataset, RLELossless)


def coded(samples, codestream: bytes, uid: str) -> bytes:
    return dicoms.write(dicoms.compressed(samples, codestream), uid)


def rotated(samples) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    return saved(np.rot90(samples), "PNG", exif=exif)


def palette(samples) -> bytes:
    """Indices in disorder, and the palette that puts them right."""
    order = np.random.default_rng(9).permutation(256).astype(np.uint8)
    entries = (np.argsort(order).astype(np.uint16) * 257).tobytes()
    fields: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        fields[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        fields[f"{colour}PaletteColorLookupTableData"] = entries
    return dicoms.write(dicoms.image(order[samples], **fields))


def voi_lut(samples) -> bytes:
    table = dicoms.lut(
        [value * 257 for value in range(256)], first=-100, bits=16, signed_first=True
    )
    fields = {"RescaleSlope": "1", "RescaleIntercept": "-100", "VOILUTSequence": [table]}
    return dicoms.write(dicoms.image(samples, **fields))


EXACT = {
    "explicit": lambda p: dicoms.write(dicoms.image(p), ExplicitVRLittleEndian),
    "implicit": lambda p: dicoms.write(dicoms.image(p), ImplicitVRLittleEndian),
    "deflated": lambda p: dicoms.write(dicoms.image(p), DeflatedExplicitVRLittleEndian),
    "RLE": rle,
    "JPEG lossless": lambda p: coded(
        p, imagecodecs.jpeg8_encode(p, lossless=True, predictor=1), JPEGLosslessSV1
    ),
    "JPEG-LS": lambda p: coded(p, imagecodecs.jpegls_encode(p), JPEGLSLossless),
    "JPEG 2000": lambda p: coded(
        p,
        imagecodecs.jpeg2k_encode(p, level=0, codecformat="j2k", reversible=True),
        JPEG2000Lossless,
    ),
    "HTJ2K": lambda p: coded(p, imagecodecs.htj2k_encode(p, reversible=True), HTJ2KLossless),
    "MONOCHROME1": lambda p: dicoms.write(
        dicoms.image(255 - p, PhotometricInterpretation="MONOCHROME1")
    ),
    "signed": lambda p: dicoms.write(dicoms.image((p.astype(np.int16) - 128).astype(np.int8))),
    "rescaled": lambda p: dicoms.write(dicoms.image(p, RescaleSlope="4", RescaleIntercept="-1000")),
    "negative slope": lambda p: dicoms.write(
        dicoms.image(255 - p, RescaleSlope="-1", RescaleIntercept="0")
    ),
    "RGB": lambda p: dicoms.write(dicoms.image(np.stack([p] * 3, axis=-1))),
    "PNG": lambda p: saved(p, "PNG"),
    "PNG, Adam7": lambda p: pngs.write(p, interlace=True),
    "PNG, colour and alpha": lambda p: saved(np.dstack([p] * 3 + [p]), "PNG"),
    "PNG, 8 bits in 16": lambda p: pngs.write(p.astype(np.uint16)),
    "PNG, turned": rotated,
}
CLOSE = {
    "window": lambda p: dicoms.write(dicoms.image(p, WindowCenter="128", WindowWidth="256")),
    "VOI LUT": voi_lut,
    "palette": palette,
    "12 bits in 16, no window": lambda p: dicoms.write(
        dicoms.image(p.astype(np.uint16) * 16 + p // 16)
    ),
    "12 bits": lambda p: dicoms.write(
        dicoms.image(p.astype(np.uint16) * 16 + p // 16, BitsStored=12)
    ),
    "12 bits, MONOCHROME1, window": lambda p: dicoms.write(
        dicoms.image(
            4095 - (p.astype(np.uint16) * 16 + p // 16),
            BitsStored=12,
            PhotometricInterpretation="MONOCHROME1",
            WindowCenter="2048",
            WindowWidth="4096",
        )
    ),
    "PNG, 16 bits": lambda p: pngs.write(p.astype(np.uint16) * 257),
}
LOSSY = {
    "JPEG": lambda p: saved(p, "JPEG", quality=95),
    "JPEG, progressive": lambda p: saved(p, "JPEG", quality=95, progressive=True),
    "JPEG in DICOM": lambda p: coded(p, saved(p, "JPEG", quality=95), JPEGBaseline8Bit),
}


def difference(data: bytes, picture) -> np.ndarray:
    expected = to_tensor(decode(dicoms.write(dicoms.image(picture)))[0], SPEC)
    return np.abs(to_tensor(decode(data)[0], SPEC) - expected)


@pytest.mark.parametrize("name", EXACT)
def test_exact_codings(name, picture):
    assert not difference(EXACT[name](picture), picture).any()


@pytest.mark.parametrize("name", CLOSE)
def test_codings_with_more_bits_differ_by_one_rounding(name, picture):
    # 8 bits are resampled in whole grey levels, once for each axis; 16 bits as good as exactly.
    assert difference(CLOSE[name](picture), picture).max() <= 1.01 / 255


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_codings_differ_by_little(name, picture):
    change = difference(LOSSY[name](picture), picture)
    assert change.max() <= 6 / 255
    assert change.mean() <= 0.5 / 255
