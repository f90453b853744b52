"""DICOM files of pydicom's and of given samples, and their pictures."""

import imagecodecs
import numpy as np
from pydicom.data import get_testdata_file
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

from preprocess import decode
from tests.preprocess.pngs import ramp


def file(name: str) -> bytes:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    with open(path, "rb") as stream:  # noqa: PTH123  # pydicom gives the path as text
        return stream.read()


EIGHT = ramp(60, 90)


RNG = np.random.default_rng(7)


def encoded(samples: np.ndarray, syntax: str) -> bytes:
    match syntax:
        case str(uid) if uid in (JPEGLossless, JPEGLosslessSV1):
            predictor = 1 if uid == JPEGLosslessSV1 else 4
            return imagecodecs.jpeg8_encode(
                samples, lossless=True, predictor=predictor, bitspersample=8 * samples.itemsize
            )
        case str(uid) if uid == JPEGLSLossless:
            return imagecodecs.jpegls_encode(samples)
        case str(uid) if uid in (JPEG2000Lossless, JPEG2000):
            return imagecodecs.jpeg2k_encode(samples, level=0, codecformat="j2k", reversible=True)
        case _:
            return imagecodecs.htj2k_encode(samples, reversible=True)


def whites(data: bytes) -> np.ndarray:
    frames = decode(data)
    return np.stack([frame.samples / frame.largest for frame in frames])
