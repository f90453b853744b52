"""CPU milliseconds of decoding per megapixel, for every coding that is taken.

    python bench/codecs.py [IMAGE.jpeg]

One radiograph is coded in every way, with 8 bits and with 12 (the same picture and a little noise
below its grey levels), and decoded in this process, in one thread, the best of several runs.
"""

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from preprocess import InputSpec, Limits, Resample, decode, to_tensor
from tests.preprocess import dicoms

DEFAULT = Path(__file__).parent.parent / "tests/data/images/NORMAL2-IM-0962-0001.jpeg"


def best_ms(function: Callable[[], object], runs: int = 7) -> float:
    """The least CPU time of several runs in this thread, in milliseconds."""
    times = []
    for _ in range(runs):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return min(times) * 1e3


def rle(samples: NDArray[np.generic], **attributes: object) -> bytes:
    """The samples as RLE Lossless."""
    dataset = dcmread(io.BytesIO(dicoms.write(dicoms.image(samples, **attributes))))
    dataset.compress(RLELossless, generate_instance_uid=False)
    return dicoms.write(dataset, RLELossless)


def lossless(samples: NDArray[np.generic], **attributes: object) -> dict[str, bytes]:
    """DICOM files of the samples in every lossless coding."""
    files = {
        uid.name: dicoms.write(dicoms.image(samples, **attributes), uid)
        for uid in (ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
        # pydicom writes the bytes as they are: big endian is of use for bytes alone
        if uid != ExplicitVRBigEndian or samples.itemsize == 1
    }
    files[RLELossless.name] = rle(samples, **attributes)
    codestreams = {
        JPEGLosslessSV1: imagecodecs.jpeg8_encode(
            samples, lossless=True, predictor=1, bitspersample=8 * samples.itemsize
        ),
        JPEGLSLossless: imagecodecs.jpegls_encode(samples),
        JPEG2000Lossless: imagecodecs.jpeg2k_encode(
            samples, level=0, codecformat="j2k", reversible=True
        ),
        HTJ2KLossless: imagecodecs.htj2k_encode(samples, reversible=True),
    }
    for uid, codestream in codestreams.items():
        files[uid.name] = dicoms.write(dicoms.compressed(samples, codestream, **attributes), uid)
    return files


def files_of(eight: NDArray[np.uint8], twelve: NDArray[np.uint16]) -> dict[str, bytes]:
    """The picture in every coding, by name."""

    def saved(kind: str, **options: object) -> bytes:
        out = io.BytesIO()
        Image.fromarray(eight).save(out, kind, **options)
        return out.getvalue()

    jpeg = saved("JPEG", quality=95)
    extended = imagecodecs.jpeg8_encode(twelve, level=95, bitspersample=12)
    files = {
        "JPEG file": jpeg,
        "JPEG file, progressive": saved("JPEG", quality=95, progressive=True),
        "PNG file, 8 bits": saved("PNG"),
        "PNG file, 16 bits": imagecodecs.png_encode(twelve * 16),
        f"8 bits: {JPEGBaseline8Bit.name}": dicoms.write(
            dicoms.compressed(eight, jpeg), JPEGBaseline8Bit
        ),
        f"12 bits: {JPEGExtended12Bit.name}": dicoms.write(
            dicoms.compressed(twelve, extended, BitsStored=12), JPEGExtended12Bit
        ),
    }
    files |= {f"8 bits: {name}": data for name, data in lossless(eight).items()}
    deep = lossless(twelve, BitsStored=12)
    return files | {f"12 bits: {name}": data for name, data in deep.items()}


def main() -> None:
    """Print a table."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    eight = decode(source.read_bytes())[0].samples.astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 16, eight.shape)
    twelve = (eight.astype(np.uint16) * 16 + noise).astype(np.uint16)
    megapixels = eight.size / 1e6
    print(f"{source.name}: {eight.shape[0]} x {eight.shape[1]}\n")
    print(f"{'coding':<78}{'bytes/pixel':>12}{'ms/megapixel':>14}")
    for name, data in sorted(files_of(eight, twelve).items()):
        spent = best_ms(lambda data=data: decode(data, Limits()))
        print(f"{name:<78}{len(data) / eight.size:>12.2f}{spent / megapixels:>14.1f}")
    for samples in (eight, twelve):
        for resample in Resample:
            (frame,) = decode(dicoms.write(dicoms.image(samples)))
            spec = InputSpec(224, 224, resample=resample)
            spent = best_ms(lambda frame=frame, spec=spec: to_tensor(frame, spec))
            name = f"tensor of 224 x 224, {resample}, {samples.dtype}"
            print(f"{name:<90}{spent / megapixels:>14.1f}")


if __name__ == "__main__":
    main()
