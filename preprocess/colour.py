"""Colour frames: what their three components are, by label, by marker and by their looks."""

from collections.abc import Set as AbstractSet
from enum import Enum

import cv2
import numpy as np

from preprocess.errors import CorruptImageError
from preprocess.types import Samples

_SAMPLED_SIDE = 256
_CLEARLY = 3  # times as much do planes vary as they should, for the picture to count
_GREY_LEVEL = 1 / 255
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class ColourModel(Enum):
    """The meaning of three components; the value names it to people."""

    RGB = "RGB"
    YCBCR = "YCbCr"


def labelled(photometric_interpretation: str) -> ColourModel:
    """Return the model that decoded samples have by (0028,0004) Photometric Interpretation.

    Decoders of JPEG 2000 undo its own colour transforms, RCT and ICT (PS3.5 8.2.4).
    """
    if photometric_interpretation in ("RGB", "YBR_RCT", "YBR_ICT"):
        return ColourModel.RGB
    return ColourModel.YCBCR


def settle(
    label: ColourModel, marked: AbstractSet[ColourModel], components: Samples, bits: int
) -> ColourModel:
    """Return the model of a frame: by its markers, else by its label; never against its looks.

    Parameters
    ----------
    label : ColourModel
        By Photometric Interpretation, see `labelled`.
    marked : set of ColourModel
        Models that a codestream's markers name: none, one, or two that contradict each other.
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
    """Return the model that the samples show; None if they could be either, or it is all one.

    Radiographs are grey, or of one tint: but for a constant, three planes much alike are RGB, and
    two that hardly vary are chroma.
    """
    rows, columns, _ = components.shape
    step = max(1, rows // _SAMPLED_SIDE), max(1, columns // _SAMPLED_SIDE)
    part = components[:: step[0], :: step[1]].astype(np.float32) / ((1 << bits) - 1)
    luma = part @ np.array(_LUMA, np.float32)
    if np.abs(luma - part[..., 0]).mean() < _GREY_LEVEL:
        return None
    first, second, third = cv2.split(part - part.mean(axis=(0, 1)))
    apart = np.abs(first - second).mean() + np.abs(first - third).mean()
    chroma = np.abs(second).mean() + np.abs(third).mean()
    if max(apart, chroma) < _GREY_LEVEL:
        return None
    if apart * _CLEARLY < chroma:
        return ColourModel.RGB
    return ColourModel.YCBCR if chroma * _CLEARLY < apart else None
