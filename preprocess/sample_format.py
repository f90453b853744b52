"""The samples of a codestream, held against the data set, and how they are then read.

Writers often leave the one as it was when they change the other. What follows from both is done;
the rest is refused, since a picture that is read wrongly looks like another finding.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.colour import ColourModel
from preprocess.errors import CorruptImageError, UnsupportedImageError
from preprocess.image import ImagePixel
from preprocess.stored import StoredFrame
from preprocess.types import StoredSamples

# In parts of the range: what a lossy coding adds at sharp edges in everyday quality, in the least
# that can be read (Gibbs' phenomenon alone is 9 % for each axis), and more than it ever adds.
_USUAL_OVERSHOOT, _LARGE_OVERSHOOT, _MOST_OVERSHOOT = 0.1, 0.25, 0.5
_MOST_ROWS = 1024  # of a frame that are looked at
_NOISE = 1 / 8  # of the range, from one pixel to the next
_CLEAR = 0.1  # continuity above which values surely go on; that of noise is about 0
_OVERLAY_LEVELS = 8  # that the bits above have with three overlays


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """Size, depth and coding of samples by a codestream's own header.

    Attributes
    ----------
    rows, columns, components, precision : int
    lossy : bool
    signed : bool or None
        None if its coding knows no sign.
    fixed_precision : bool
        Its coding has so few precisions that fewer bits are often stored.
    """

    rows: int
    columns: int
    components: int
    precision: int
    lossy: bool
    signed: bool | None = None
    fixed_precision: bool = False


def check(coded: SampleFormat, image: ImagePixel) -> None:
    """Refuse what the data set and the codestream say differently, before anything is decoded.

    A lossless codestream holds cells, so it must reach up to High Bit; what is above is not
    stored. A lossy one holds numbers, so both must agree on their sign.

    Raises
    ------
    CorruptImageError, UnsupportedImageError
    """
    if (coded.rows, coded.columns) != (image.rows, image.columns):
        raise CorruptImageError("a compressed frame has another size than the data set declares")
    if coded.components != image.samples_per_pixel:
        raise CorruptImageError(
            f"the components of a compressed frame number {coded.components}, "
            f"and Samples per Pixel is {image.samples_per_pixel}"
        )
    if not 1 <= coded.precision <= image.bits_allocated:
        raise CorruptImageError(
            f"a compressed frame has samples of {coded.precision} bits, "
            f"and Bits Allocated is {image.bits_allocated}"
        )
    if coded.precision > 16:
        raise UnsupportedImageError("compressed samples of more than 16 bits are not taken")
    if coded.precision <= image.high_bit:
        raise CorruptImageError(
            f"a compressed frame has samples of {coded.precision} bits, "
            f"too few for Bits Stored {image.bits_stored} and High Bit {image.high_bit}"
        )
    if image.photometric_interpretation.startswith("YBR_PARTIAL"):
        raise UnsupportedImageError("compressed frames of partial range are not taken")
    if coded.lossy:
        _check_lossy(coded, image)


def _check_lossy(coded: SampleFormat, image: ImagePixel) -> None:
    if image.photometric_interpretation == "PALETTE COLOR":
        raise CorruptImageError("the indices of a palette cannot be coded with loss")
    if coded.signed is None and image.signed:
        # Two's complement as an unsigned number: the least error makes black of white.
        raise CorruptImageError(
            "Pixel Representation is signed, and the frame's lossy coding knows no sign"
        )
    if coded.signed is not None and coded.signed != image.signed:
        raise CorruptImageError(
            "Pixel Representation and a lossy codestream disagree on the sign of samples"
        )


def read_as(
    samples: StoredSamples, coded: SampleFormat, image: ImagePixel, marked: frozenset[ColourModel]
) -> StoredFrame:
    """Return a frame of numbers, or of cells where a codestream may be lossless and holds more.

    Numbers beyond Bits Stored are the overshoot of a lossy coding and are clipped, as long as they
    go on where the values within end. Else the bits above High Bit hold something of their own.

    Raises
    ------
    CorruptImageError
        Beyond Bits Stored there is what cannot be told from overshoot, or what loss has spoilt.
    """
    # Decoders hold samples to the codestream's own precision.
    overshoot = _overshoot(samples, image) if coded.precision > image.high_bit + 1 else 0
    if _are_numbers(overshoot, samples, coded, image):
        return StoredFrame(samples, lossy=True, marked=marked)
    if coded.lossy or overshoot <= _LARGE_OVERSHOOT:
        raise CorruptImageError(
            f"a compressed frame has values beyond Bits Stored {image.bits_stored}, High Bit "
            f"{image.high_bit}, that are no error of a lossy coding"
        )
    return read_cells(samples, coded, image, marked)


def _are_numbers(
    overshoot: float, samples: StoredSamples, coded: SampleFormat, image: ImagePixel
) -> bool:
    if overshoot == 0:
        return True
    # Two's complement that ends at High Bit lies close to numbers; lossy, it makes black of white.
    if overshoot > _MOST_OVERSHOOT or (coded.lossy and image.signed):
        return False
    if coded.fixed_precision or (coded.lossy and overshoot <= _USUAL_OVERSHOOT):
        return True
    return _continuity_above(samples, coded, image) >= 0


def read_cells(
    samples: StoredSamples, coded: SampleFormat, image: ImagePixel, marked: frozenset[ColourModel]
) -> StoredFrame:
    """Return a frame of cells.

    Raises
    ------
    CorruptImageError
        The bits above High Bit belong to the values, so that Bits Stored must be wrong.
    """
    if coded.precision > image.high_bit + 1 and _continuity_above(samples, coded, image) > _CLEAR:
        raise CorruptImageError(
            f"a frame has values that go on above High Bit {image.high_bit}: "
            "Bits Stored, High Bit or Pixel Representation is wrong"
        )
    return StoredFrame(samples, marked=marked)


def read_whole_cells(samples: StoredSamples, image: ImagePixel) -> StoredFrame:
    """Return a frame whose cells have all of Bits Allocated: uncompressed, or in RLE.

    Raises
    ------
    CorruptImageError
        The bits above High Bit belong to the values, so that Bits Stored must be wrong.
    """
    whole = SampleFormat(
        image.rows,
        image.columns,
        image.samples_per_pixel,
        image.bits_allocated,
        lossy=False,
        signed=image.signed,
    )
    numbers = samples.view(f"i{samples.itemsize}") if image.signed else samples
    return read_cells(numbers, whole, image, frozenset())


def _overshoot(samples: StoredSamples, image: ImagePixel) -> float:
    """Return the excess of samples over the range of Bits Stored, in parts of the range."""
    shift = image.high_bit + 1 - image.bits_stored
    low = int(samples.min()) >> shift if samples.dtype.kind == "i" else 0
    high = int(samples.max()) >> shift
    return max(image.least - low, high - image.most, 0) / (image.most - image.least + 1)


def _continuity_above(samples: StoredSamples, coded: SampleFormat, image: ImagePixel) -> float:
    """Return 0 to 1 if the bits above High Bit continue the values below, else less than 0.

    Where these bits change from one pixel to the next, values that continue change little, and by
    all of their range once the bits are masked. Overlays do the contrary.

    References
    ----------
    DICOM PS3.5 8.1.1 (overlays in unused bits are retired, not gone).
    """
    if _overshoot(samples, image) == 0:
        return 0
    part = samples[:: max(1, len(samples) // _MOST_ROWS)]
    numbers: NDArray[np.signedinteger] = part.astype(
        np.int32 if coded.precision <= 16 else np.int64
    )
    if image.signed != bool(coded.signed):  # the sign is the data set's to say
        numbers &= (1 << coded.precision) - 1
        if image.signed:
            numbers -= (numbers >> (coded.precision - 1)) << coded.precision
    numbers >>= image.high_bit + 1 - image.bits_stored
    masked = (numbers - image.least) % (1 << image.bits_stored) + image.least
    above = numbers - masked
    changes = np.diff(above, axis=1) != 0
    if not changes.any():
        return 0
    as_numbers, as_cells = (np.abs(np.diff(read, axis=1)) for read in (numbers, masked))
    bits = coded.precision + image.bits_stored - image.high_bit - 1
    if (
        np.unique(above).size > _OVERLAY_LEVELS << image.signed
        and _is_noise(as_cells, image.bits_stored)
        and not _is_noise(as_numbers, bits)
    ):
        return 1
    one, other = (float(steps[changes].sum(dtype=np.int64)) for steps in (as_cells, as_numbers))
    return (one - other) / (one + other)


def _is_noise(steps: NDArray[np.integer], bits: int) -> bool:
    """Return True for steps from pixel to pixel that are no picture's.

    Random numbers change by a third of their range, as the last bits of a deeper picture do; the
    roughest radiographs change by a twentieth.
    """
    return float(steps.mean()) > _NOISE * (1 << bits)
