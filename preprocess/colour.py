"""Colour frames: what their three components are, by label, by marker and by their looks."""

from collections.abc import Set as AbstractSet
from enum import Enum

import cv2
import numpy as np

from preprocess.errors import CorruptImageError
from preprocess.types import Samples

_SAMPLED_SIDE = 256
# Near white or black the chroma of a grey picture lies three times as close to its neutral value
# as to the luma; so do the planes of a grey RGB picture to each other.
_CLEARLY = 3


class ColourModel(Enum):
    """What three components are; the value names it to people."""

    RGB = "RGB"
    YCBCR = "YCbCr"


def labelled(photometric_interpretation: str) -> ColourModel:
    """The model that decoded samples have by (0028,0004) Photometric Interpretation.

    Decoders of JPEG 2000 undo its own colour transforms, RCT and ICT (PS3.5 8.2.4).
    """
    if photometric_interpretation in ("RGB", "YBR_RCT", "YBR_ICT"):
        return ColourModel.RGB
    return ColourModel.YCBCR


def settle(
    label: ColourModel, marked: AbstractSet[ColourModel], components: Samples, bits: int
) -> ColourModel:
    """The model of a frame: by its markers, else by its label; never against its looks.

    Parameters
    ----------
    label : ColourModel
        By Photometric Interpretation, see `labelled`.
    marked : set of ColourModel
        What the markers of a codestream say: none, one, or two that contradict each other.
    components : ndarray of uint8 or uint16, shape (rows, columns, 3)
        As decoded, without a colour transform.
    bits : int
        The range of the components is [0, 2**bits - 1].

    Raises
    ------
    CorruptImageError
        The label and the markers leave it open, or the picture contradicts them.
    """
    seen = _seen(components, bits)
    model = seen if len(marked) > 1 else next(iter(marked), label)
    if model is None:
        raise CorruptImageError("the markers of a colour frame contradict each other")
    if seen is not None and seen is not model:
        raise CorruptImageError(
            f"a colour frame holds {seen.value} where {model.value} is declared: "
            "Photometric Interpretation is wrong"
        )
    return model


def _seen(components: Samples, bits: int) -> ColourModel | None:
    """The model that the samples themselves show; None if they could be either, or it is all one.

    Radiographs are grey: three planes much alike are RGB, two neutral ones are chroma.
    """
    rows, columns, _ = components.shape
    step = max(1, rows // _SAMPLED_SIDE), max(1, columns // _SAMPLED_SIDE)
    part = components[:: step[0], :: step[1]].astype(np.float32)
    first, second, third = cv2.split(part)
    unit = ((1 << bits) - 1) / 255
    luma = 0.299 * first + 0.587 * second + 0.114 * third
    if np.abs(luma - first).mean() < unit:
        return None
    apart = np.abs(first - second).mean() + np.abs(first - third).mean()
    neutral = np.float32(1 << (bits - 1))
    chroma = np.abs(second - neutral).mean() + np.abs(third - neutral).mean()
    if apart * _CLEARLY < chroma:
        return ColourModel.RGB
    return ColourModel.YCBCR if chroma * _CLEARLY < apart else None
