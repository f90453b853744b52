"""Pictures for a person's eyes: a radiograph's preview, and a heat map drawn over it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gateway.vocabulary.statements import statement
from preprocess import GreyRange, Resample
from preprocess.geometry import resample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gateway.schemas.result import Finding
    from preprocess import Frame

LONGEST_SIDE = 1024
PNG, JPEG = "image/png", "image/jpeg"
FULL_RANGE = GreyRange()
_MARGIN = 64  # rows under the picture, for its words and the colour bar
_OPACITY = 0.55
_STEPS = 256
_INK = (235, 235, 235)

# Inferno: lightness grows evenly along it, so equal steps of evidence look like equal steps, in
# grey and to colour-blind eyes as well (van der Walt and Smith, SciPy 2015).
_COLOURS: NDArray[np.uint8] = np.ascontiguousarray(
    cv2.applyColorMap(np.arange(_STEPS, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO).reshape(
        _STEPS, 3
    )[:, ::-1],  # OpenCV's colours are blue first
    dtype=np.uint8,
)
# Grey where the model is not applicable: such a map must not look like one that means something.
_GREYS: NDArray[np.uint8] = np.repeat(np.arange(_STEPS, dtype=np.uint8)[:, None], 3, axis=1)


def preview_png(frame: Frame, shown: GreyRange = FULL_RANGE) -> bytes:
    """Return the frame as an 8-bit greyscale PNG, at most 1024 pixels on its longer side.

    Parameters
    ----------
    frame
        The radiograph.
    shown
        The values of it that were black and white to the model.
    """
    return _png(Image.fromarray(_screen(frame, shown, LONGEST_SIDE)))


@dataclass(frozen=True, slots=True)
class ViewWindow:
    """A window (0028,1050), (0028,1051) with its VOI LUT Function (0028,1056)."""

    center: float
    width: float
    function: str


@dataclass(frozen=True, slots=True)
class RenderedView:
    """A picture as it is asked for.

    Parameters
    ----------
    media_type
        `image/png` or `image/jpeg`.
    quality
        Of a JPEG, 1 to 100.
    size
        Columns and rows that it is to fit in; None leaves it as it is.
    window
        None takes what the model saw.
    """

    media_type: str
    quality: int = 90
    size: tuple[int, int] | None = None
    window: ViewWindow | None = None

    def scale(self, rows: int, columns: int) -> float:
        """Return the factor by which a picture is reduced to fit in, 1 at most."""
        if self.size is None:
            return 1.0
        return min(self.size[0] / columns, self.size[1] / rows, 1.0)


def rendered_picture(frame: Frame, shown: GreyRange, view: RenderedView) -> bytes:
    """Return the frame in 8 bits of grey, as `preview_png` shows it.

    A larger viewport than the frame leaves the frame's size: nothing is gained by more pixels.
    """
    rows, columns = frame.samples.shape
    longest = max(1, round(max(rows, columns) * view.scale(rows, columns)))
    return _encoded(_screen(frame, shown, longest), view)


def colour_picture(pixels: NDArray[np.uint8], view: RenderedView) -> bytes:
    """Return a picture in colour as it is asked for; a window means nothing to it.

    Parameters
    ----------
    pixels
        (rows, columns, 3), red first.
    """
    rows, columns = pixels.shape[:2]
    scale = view.scale(rows, columns)
    if scale < 1:
        size = max(1, round(columns * scale)), max(1, round(rows * scale))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _encoded(pixels, view)


def heatmap_png(
    frame: Frame,
    cells: NDArray[np.float32],
    finding: Finding,
    covers: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    full: float | None = None,
    *,
    shown: GreyRange = FULL_RANGE,
    longest_side: int = LONGEST_SIDE,
) -> bytes:
    """Return the evidence for a finding in colour over the radiograph, with name and colour bar.

    Parameters
    ----------
    frame
        The radiograph.
    cells
        (rows, columns) of the activation map for this finding: each cell's share of the evidence,
        in the model's own unit. What speaks against the finding (below 0) stays clear.
    finding
        Told under the picture. Where the model is not applicable, the map is grey. Without `full`,
        its probability sets how strong the colours are: full from its threshold up, fainter below,
        so that a negative picture's brightest cell does not look like a finding.
    covers
        Top, left, bottom and right of what the cells are spread evenly over, in fractions of the
        picture. What the model did not see stays clear.
    full
        Evidence that is drawn in full colour, the same for all pictures of a model; None where
        each picture's strongest cell is.
    shown
        The values of the radiograph that were black and white to the model.
    longest_side
        Pixels of the radiograph's longer side, unless it has fewer.

    Returns
    -------
    bytes
        An RGB PNG.
    """
    grey = _screen(frame, shown, longest_side)
    rows, columns = grey.shape
    strength = _strength(cells, finding, full)
    smooth = _spread(strength, covers, (rows, columns))
    scale = _GREYS if finding.positive is None else _COLOURS
    coloured = cv2.applyColorMap(cv2.convertScaleAbs(smooth, alpha=_STEPS - 1), scale[:, None])
    opacity = np.float32(_OPACITY) * cv2.sqrt(smooth)
    blended = cv2.blendLinear(cv2.merge([grey] * 3), coloured, 1.0 - opacity, opacity)
    canvas = Image.new("RGB", (max(columns, 320), rows + _MARGIN))
    canvas.paste(Image.fromarray(blended), (0, 0))
    _legend(canvas, rows, finding, scale)
    return _png(canvas)


def _screen(frame: Frame, shown: GreyRange, longest_side: int) -> NDArray[np.uint8]:
    """Return the frame as the model saw it, in 8 bits, its longer side reduced to so many pixels.

    The steps are those of `preprocess.to_tensor`: resampled in whole grey levels, then clipped and
    spread from the model's black to its white. Nothing is stretched that was not for the model: a
    picture that it saw nearly black looks nearly black.
    """
    rows, columns = frame.samples.shape
    scale = min(1.0, longest_side / max(rows, columns))
    size = max(1, round(rows * scale)), max(1, round(columns * scale))
    samples = resample(frame.samples, size, Resample.AREA, frame.box())
    shares = np.arange(1 << (8 * samples.itemsize)) / frame.largest
    width = shown.white - shown.black
    levels = (shares - shown.black) / width if width > 0 else np.zeros_like(shares)
    table = np.floor(np.clip(levels, 0, 1) * 255 + 0.5).astype(np.uint8)
    return np.asarray(cv2.LUT(samples, table), dtype=np.uint8)


def _strength(
    cells: NDArray[np.float32], finding: Finding, full: float | None
) -> NDArray[np.float32]:
    evidence = np.maximum(np.asarray(cells, dtype=np.float32), 0.0)
    if full is not None:
        return np.minimum(evidence / np.float32(full), np.float32(1.0))
    highest = float(evidence.max())
    if highest <= 0:
        return evidence
    certainty = min(1.0, finding.probability / finding.threshold) if finding.threshold else 1.0
    return np.asarray(evidence * (certainty / highest), dtype=np.float32)


def _spread(
    strength: NDArray[np.float32],
    covers: tuple[float, float, float, float],
    shape: tuple[int, int],
) -> NDArray[np.float32]:
    """Return the strength at every pixel of a picture of this shape."""
    rows, columns = shape
    top, bottom = round(covers[0] * rows), round(covers[2] * rows)
    left, right = round(covers[1] * columns), round(covers[3] * columns)
    # Linear: anything smoother rings, and would colour places that have no evidence at all.
    size = (max(1, right - left), max(1, bottom - top))
    seen = cv2.resize(strength, size, interpolation=cv2.INTER_LINEAR)
    part = seen[max(0, -top) : rows - top, max(0, -left) : columns - left]
    top, left = max(0, top), max(0, left)
    spread = np.zeros(shape, np.float32)
    spread[top : top + part.shape[0], left : left + part.shape[1]] = part
    return spread


def _legend(canvas: Image.Image, top: int, finding: Finding, scale: NDArray[np.uint8]) -> None:
    draw = ImageDraw.Draw(canvas)
    said = statement(finding.label, finding.positive)
    words = f"{said}: {finding.probability:.2f} (threshold {finding.threshold:.2f})"
    draw.text((12, top + 6), words, fill=_INK, font=ImageFont.load_default(16))
    small = ImageFont.load_default(12)
    least, most = "no evidence", "strongest"
    left = 12 + math.ceil(draw.textlength(least, small)) + 6
    right = canvas.width - 12 - math.ceil(draw.textlength(most, small)) - 6
    bar = np.repeat(scale[np.linspace(0, _STEPS - 1, right - left).astype(int)][None], 10, 0)
    canvas.paste(Image.fromarray(np.ascontiguousarray(bar)), (left, top + 40))
    draw.text((12, top + 38), least, fill=_INK, font=small)
    draw.text((right + 6, top + 38), most, fill=_INK, font=small)


def _encoded(pixels: NDArray[np.uint8], view: RenderedView) -> bytes:
    image = Image.fromarray(pixels)
    if view.media_type == PNG:
        return _png(image)
    way = (cv2.IMWRITE_JPEG_QUALITY, view.quality)
    return cv2.imencode(".jpg", _for_opencv(image), way)[1].tobytes()


def _for_opencv(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of a picture, blue first if it is in colour."""
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[..., ::-1]) if image.mode == "RGB" else pixels


def _png(image: Image.Image) -> bytes:
    # A third of the time of libpng's usual way for about as many bytes: grain does not repeat
    # itself, and no row needs another filter than its neighbours.
    ways = (
        *(cv2.IMWRITE_PNG_COMPRESSION, 1),
        *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
        *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG),
    )
    return cv2.imencode(".png", _for_opencv(image), ways)[1].tobytes()
