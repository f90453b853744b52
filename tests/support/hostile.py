"""Files made to hurt whoever decodes them, by what they do."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.preprocess import dicoms, pngs

NOISE = np.random.default_rng(3).integers(0, 4096, (256, 256)).astype(np.uint16)


def hostile_files(radiograph: bytes) -> dict[str, bytes]:
    """All of them; none may be read, and none may cost much.

    Parameters
    ----------
    radiograph
        A baseline JPEG to spoil.
    """
    return {**_pictures(radiograph), **_data_sets(radiograph, dicoms.image)}


def hostile_instances(radiograph: bytes, study_instance_uid: str) -> dict[str, bytes]:
    """Those of DICOM as instances of a study; with sound headers they come to the decoder."""
    image = partial(
        dicoms.image,
        StudyInstanceUID=study_instance_uid,
        StudyDate="20260101",
        StudyTime="120000",
        BodyPartExamined="CHEST",
        ViewPosition="PA",
    )
    return _data_sets(radiograph, image)


def _pictures(radiograph: bytes) -> dict[str, bytes]:
    png = pngs.write(pngs.ramp(200, 300))
    return {
        "nothing at all": b"",
        "text": b"<svg onload=alert(1)>" * 100,
        "jpeg, first half": radiograph[: len(radiograph) // 2],
        "jpeg without its end": radiograph[:-2],
        "jpeg, zeros in the middle": radiograph[:20_000] + bytes(9_000) + radiograph[29_000:],
        "jpeg that says it is 65535 square": _with_size(radiograph, 65_535, 65_535),
        "jpeg that says it is taller": _with_size(radiograph, 2_000, 984),
        "progressive jpeg of 4000 scans": _scan_bomb(4_000),
        "baseline jpeg scanned 300 times": _repeated_scan(radiograph, 300),
        "jpeg of a million empty segments": radiograph[:2]
        + b"\xff\xe5\x00\x02" * 1_000_000
        + radiograph[2:],
        "png of 60000 square": pngs.SIGNATURE
        + pngs.header(60_000, 60_000)
        + pngs.chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + pngs.chunk(b"IEND", b""),
        "png that inflates to 400 MB": pngs.SIGNATURE
        + pngs.header(100, 100)
        + pngs.chunk(b"IDAT", zlib.compress(bytes(400 << 20), 9))
        + pngs.chunk(b"IEND", b""),
        "png, bad check sum": png[:-20] + bytes([png[-20] ^ 1]) + png[-19:],
        "png, first half": png[: len(png) // 2],
        "png of no rows": png.replace(struct.pack(">II", 300, 200), struct.pack(">II", 300, 0)),
        "png with a text chunk that inflates to 400 MB": png[:33]
        + pngs.chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(400 << 20), 9))
        + pngs.chunk(b"IDAT", b"")
        + pngs.chunk(b"IEND", b""),
    }


def _data_sets(radiograph: bytes, image: Callable[..., Dataset]) -> dict[str, bytes]:
    def compressed(samples: NDArray[Any], codestream: bytes) -> Dataset:
        dataset = image(samples)
        dataset.PixelData = encapsulate([codestream])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        return dataset

    plain = dicoms.write(image(NOISE))
    pixels = plain.index(b"\xe0\x7f\x10\x00")
    head = dicoms.write(image(NOISE), DeflatedExplicitVRLittleEndian)
    deflated = head[: 144 + int.from_bytes(head[140:144], "little")]
    files = {
        "dicom, pixels missing": plain[:pixels],
        "dicom, pixels cut": plain[:-1000],
        "dicom of 100000 nested sequences": plain[:pixels]
        + (
            struct.pack("<HH2sHI", 0x0040, 0xA730, b"SQ", 0, 0xFFFFFFFF)
            + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        )
        * 100_000,
        "dicom of a million elements": plain[:pixels]
        + struct.pack("<HH2sH", 0x0009, 0x0001, b"LO", 0) * 1_000_000
        + plain[pixels:],
        "dicom that inflates to 1 GB": deflated + _raw_deflate(1 << 30),
        "dicom of no rows": dicoms.write(image(NOISE, Rows=0)),
        "dicom of 65535 square": dicoms.write(image(NOISE, Rows=65_535, Columns=65_535)),
        "dicom of two billion frames": dicoms.write(image(NOISE, NumberOfFrames="2147483647")),
        "dicom, jpeg inside cut": dicoms.write(
            compressed(np.zeros((712, 984), np.uint8), radiograph[: len(radiograph) // 2]),
            "1.2.840.10008.1.2.4.50",
        ),
    }
    codestreams = {
        JPEG2000Lossless: imagecodecs.jpeg2k_encode(
            NOISE, level=0, codecformat="j2k", reversible=True
        ),
        HTJ2KLossless: imagecodecs.htj2k_encode(NOISE, reversible=True),
        JPEGLSLossless: imagecodecs.jpegls_encode(NOISE),
    }
    for syntax, codestream in codestreams.items():
        name = syntax.name
        half = codestream[: len(codestream) // 2]
        files[f"{name}, first half"] = dicoms.write(compressed(NOISE, half), syntax)
        small = np.zeros((20, 20), np.uint16)
        files[f"{name}, larger than declared"] = dicoms.write(compressed(small, codestream), syntax)
        files[f"{name}, noise"] = dicoms.write(
            compressed(NOISE, codestream[:100] + bytes(range(256)) * 400), syntax
        )
    files["RLE, cut"] = dicoms.write(
        compressed(NOISE, struct.pack("<16I", 2, 64, 1 << 31, *[0] * 13) + b"\x01" * 50),
        RLELossless,
    )
    return files


def _with_size(jpeg: bytes, rows: int, columns: int) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", rows, columns) + jpeg[at + 4 :]


def _scan_bomb(scans: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (2000, 2000)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    start = data.index(b"\xff\xda")
    end = data.index(b"\xff", start + 2 + int.from_bytes(data[start + 2 : start + 4]))
    return data[:end] + data[start:end] * (scans - 1) + data[end:]


def _repeated_scan(jpeg: bytes, times: int) -> bytes:
    scan = jpeg[jpeg.index(b"\xff\xda") : -2]
    return jpeg[:-2] + scan * times + jpeg[-2:]


def _raw_deflate(size: int) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    step = bytes(1 << 24)
    return b"".join(deflate.compress(step) for _ in range(size >> 24)) + deflate.flush()
