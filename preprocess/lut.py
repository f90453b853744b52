"""Windows and lookup tables of the standard, over arrays of values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preprocess.attributes import Attributes
from preprocess.depth import bits_in_use
from preprocess.errors import CorruptImageError, UnsupportedImageError

Floats = NDArray[np.float64]

WINDOW_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
"""Values of (0028,1056) VOI LUT Function."""


def window(values: Floats, center: float, width: float, function: str = "LINEAR") -> Floats:
    """Return the share of white, 0 to 1, that a window gives to each value.

    Parameters
    ----------
    values : ndarray of float64
        Output of the modality transformation; not changed.
    center, width : float
        (0028,1050) Window Center and (0028,1051) Window Width; the width at least 1 for LINEAR,
        above 0 for the others.
    function : {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
        (0028,1056) VOI LUT Function.

    Raises
    ------
    CorruptImageError
        The width is out of its range.
    UnsupportedImageError
        The function is unknown.

    References
    ----------
    DICOM PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT).
    """
    if width < 1 if function == "LINEAR" else width <= 0:
        raise CorruptImageError("Window Width is too small")
    # A width next to nothing leads beyond all numbers, which clipping takes for the ends.
    with np.errstate(over="ignore"):
        match function:
            case "LINEAR":
                if width == 1:
                    return (values > center - 0.5).astype(np.float64)
                return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)
            case "LINEAR_EXACT":
                return np.clip((values - center) / width + 0.5, 0, 1)
            case "SIGMOID":
                # Beyond 700 exp overflows, where the sigmoid has long been 0 or 1.
                steepness = np.clip(-4 * (values - center) / width, -700, 700)
                sigmoid: Floats = 1 / (1 + np.exp(steepness))
                return sigmoid
            case _:
                raise UnsupportedImageError("VOI LUT Function is none of those taken")


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table of entries for consecutive input values (PS3.3 C.11.1.1.1, C.11.2.1.1).

    Attributes
    ----------
    entries : ndarray of uint8 or uint16, shape (entries,)
    first : int
        Input value of the first entry; lesser values take that entry too, and those beyond the
        last entry take the last.
    bits : int
        Bits of an entry as the descriptor declares them.
    """

    entries: NDArray[np.integer]
    first: int
    bits: int

    @property
    def bits_in_use(self) -> int:
        """Bits of the largest entry as detectors have them; at most `bits` where these suffice."""
        largest = int(self.entries.max())
        holds = self.bits >= 8 and largest < 1 << min(self.bits, 16)
        return bits_in_use(largest, self.bits if holds else 16)

    def look_up(self, values: Floats) -> Floats:
        """Return the entry for each value, rounded half up; the values are not changed.

        A first value with which the table would hold none of them was read with the wrong sign:
        implicit VR does not tell it, and where rescaled values begin below 0 many a writer still
        counts the first one without sign.
        """
        last = len(self.entries) - 1
        lowest, highest = float(values.min()), float(values.max())
        starts = (self.first, self.first - (1 << 16), self.first + (1 << 16))
        first = next(
            (start for start in starts if start <= highest and start + last >= lowest), self.first
        )
        index = np.clip(np.floor(values + 0.5) - first, 0, last).astype(np.int64)
        return np.asarray(self.entries[index], dtype=np.float64)


def read_table(attributes: Attributes, descriptor: str, data: str, *, signed: bool) -> LookupTable:
    """Return the lookup table that two attributes make.

    Parameters
    ----------
    attributes : Attributes
    descriptor, data : str
        Keywords of the table's descriptor and of its entries.
    signed : bool
        Input values are signed, and so is the first of them in the descriptor. The latter may be
        signed where the former are not, which only the VR of a descriptor tells then.

    Raises
    ------
    CorruptImageError
        Descriptor or data are missing or malformed, or the data end early.
    """
    unsigned = attributes.words(descriptor)
    raw = attributes.raw(data)
    if len(unsigned) != 3 or raw is None:
        raise CorruptImageError(f"{descriptor} or {data} is missing or malformed")
    length = unsigned[0] or 1 << 16  # 0 stands for 65,536
    signed_first = signed or attributes.vr(descriptor) == "SS"
    first = attributes.words(descriptor, signed=signed_first)[1]
    bits = unsigned[2]
    # Entries of 8 bits may come two to a word, or one to a word like the others.
    packed = bits == 8 and len(raw) < 2 * length
    if len(raw) < (length if packed else 2 * length):
        raise CorruptImageError(f"{data} is shorter than {descriptor} says")
    if packed:
        return LookupTable(attributes.octets(data)[:length], first, bits)
    return LookupTable(attributes.as_words(raw[: 2 * length]), first, bits)
