"""Files for a pool of processes, and the life of a process."""

import os

import imagecodecs
import numpy as np
from pydicom.uid import JPEGLSLossless

from tests.preprocess import dicoms
from tests.preprocess.pngs import ramp

PICTURE = ramp(70, 90, np.uint16)


def jpeg_ls(samples: np.ndarray = PICTURE, **attributes: object) -> bytes:
    codestream = imagecodecs.jpegls_encode(samples)
    return dicoms.write(dicoms.compressed(samples, codestream, **attributes), JPEGLSLossless)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
