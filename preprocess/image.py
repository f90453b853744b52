"""The Image Pixel module of a DICOM data set, checked."""

import re
from dataclasses import dataclass
from typing import Literal

from preprocess.attributes import Attributes
from preprocess.dataset import DicomFile
from preprocess.errors import (
    CorruptImageError,
    TooManyFramesError,
    TooManyPixelsError,
    UnsupportedImageError,
)
from preprocess.types import Limits

PHOTOMETRIC_INTERPRETATIONS = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_PARTIAL_422": 3,
    "YBR_PARTIAL_420": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
"""Photometric interpretations taken, with their samples per pixel (PS3.3 C.7.6.3.1.2)."""

KEYWORDS = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PresentationLUTShape",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PlanarConfiguration",
    "SOPClassUID",
)

_WHOLE_NUMBER = re.compile(r"\+?(\d+)(?:\.0*)?", re.ASCII)
_MISSPELT = (
    "Photometric Interpretation (0028,0004) is not written in capitals as the standard has it"
)
_SHAPE = (
    "Presentation LUT Shape (2050,0020) contradicts Photometric Interpretation (0028,0004), which "
    "was followed"
)
_ONE_FRAME = "Number of Frames (0028,0008) is not usable and was taken as 1"


@dataclass(frozen=True, slots=True)
class ImagePixel:
    """The attributes that tell how samples are stored (PS3.3 C.7.6.3).

    Attributes
    ----------
    rows, columns, frames, samples_per_pixel : int
    photometric_interpretation : str
        One of `PHOTOMETRIC_INTERPRETATIONS`.
    bits_allocated : {8, 16, 32}
    bits_stored : int
        1 to 16.
    high_bit : int
    signed : bool
        Samples are two's complement.
    planar : bool
        Uncompressed colour comes plane by plane.
    warnings : tuple of str
        Sentences about attributes that were not usable.
    """

    rows: int
    columns: int
    frames: int
    samples_per_pixel: int
    photometric_interpretation: str
    bits_allocated: Literal[8, 16, 32]
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool
    warnings: tuple[str, ...] = ()

    @property
    def colour(self) -> bool:
        """True if a pixel has three samples."""
        return self.samples_per_pixel == 3

    @property
    def least(self) -> int:
        """The least value that Bits Stored can hold."""
        return -(1 << (self.bits_stored - 1)) if self.signed else 0

    @property
    def most(self) -> int:
        """The largest value that Bits Stored can hold."""
        return self.least + (1 << self.bits_stored) - 1


def read_image_pixel(file: DicomFile) -> ImagePixel:
    """Return the Image Pixel module of a file.

    Raises
    ------
    UnsupportedImageError
        The object holds no picture, or one of a kind that is not taken.
    CorruptImageError
        The module contradicts itself.
    """
    attributes = file.attributes
    if not file.has_pixel_data:
        raise UnsupportedImageError(_why_no_picture(attributes))
    photometric, misspelt = _photometric_interpretation(attributes)
    frames = number_of_frames(attributes)
    image = ImagePixel(
        rows=_word(attributes, "Rows"),
        columns=_word(attributes, "Columns"),
        frames=frames or 1,
        samples_per_pixel=_word(attributes, "SamplesPerPixel", default=1),
        photometric_interpretation=photometric,
        bits_allocated=_bits_allocated(attributes),
        bits_stored=_word(attributes, "BitsStored"),
        high_bit=_word(attributes, "HighBit", default=_word(attributes, "BitsStored") - 1),
        signed=_signed(attributes),
        planar=bool(_word(attributes, "PlanarConfiguration", default=0)),
        warnings=(*(() if frames else (_ONE_FRAME,)), *misspelt, *_contradiction(attributes)),
    )
    if image.rows == 0 or image.columns == 0:
        raise CorruptImageError("Rows or Columns is 0")
    if image.samples_per_pixel != PHOTOMETRIC_INTERPRETATIONS[photometric]:
        raise CorruptImageError("Samples per Pixel does not fit Photometric Interpretation")
    if image.bits_stored > 16:
        raise UnsupportedImageError("more than 16 Bits Stored are not taken")
    if not 1 <= image.bits_stored <= image.high_bit + 1 <= image.bits_allocated:
        raise CorruptImageError("Bits Allocated, Bits Stored and High Bit do not go together")
    if image.colour and image.signed:
        raise CorruptImageError("Pixel Representation is signed, as no colour is")
    return image


def _photometric_interpretation(attributes: Attributes) -> tuple[str, tuple[str, ...]]:
    """Return one of those taken, and a sentence if it was not written as the standard has it."""
    written = attributes.text("PhotometricInterpretation") or ""
    for known in PHOTOMETRIC_INTERPRETATIONS:
        if "".join(written.upper().split()) == known.replace(" ", ""):
            return known, () if written == known else (_MISSPELT,)
    raise UnsupportedImageError(
        "Photometric Interpretation (0028,0004) is none of those taken: "
        + ", ".join(PHOTOMETRIC_INTERPRETATIONS)
    )


def _contradiction(attributes: Attributes) -> tuple[str, ...]:
    """Return a sentence if Presentation LUT Shape would invert what is not to be, or not what is.

    References
    ----------
    DICOM PS3.3 C.8.11.3.1.2: IDENTITY belongs to MONOCHROME2 and INVERSE to MONOCHROME1.
    """
    named = {
        (attributes.text(keyword) or "").upper()
        for keyword in ("PhotometricInterpretation", "PresentationLUTShape")
    }
    wrong = {"MONOCHROME2", "INVERSE"}, {"MONOCHROME1", "IDENTITY"}
    return (_SHAPE,) if named in wrong else ()


def number_of_frames(attributes: Attributes) -> int | None:
    """Return Number of Frames, 1 where it is absent; None where it is no whole number above 0."""
    try:
        texts = attributes.decimal_strings("NumberOfFrames") or ("1",)
    except CorruptImageError:
        return None
    found = _WHOLE_NUMBER.fullmatch(texts[0]) if len(texts) == 1 else None
    return (int(found[1]) or None) if found else None


def check_size(image: ImagePixel, limits: Limits) -> None:
    """Refuse more frames or pixels than the limits allow.

    Raises
    ------
    TooManyFramesError, TooManyPixelsError
    """
    if image.frames > limits.frames:
        raise TooManyFramesError(image.frames, limits.frames)
    if image.rows * image.columns * image.samples_per_pixel * image.frames > limits.pixels:
        raise TooManyPixelsError(
            image.rows,
            image.columns,
            limits.pixels,
            frames=image.frames,
            samples_per_pixel=image.samples_per_pixel,
        )


def _why_no_picture(attributes: Attributes) -> str:
    """Return the SOP class by its name in the standard, which is all that is said of the object."""
    sop_class = attributes.uid("SOPClassUID")
    if sop_class is None or sop_class.name == sop_class:
        return "the object holds no Pixel Data"
    if "Image Storage" in sop_class.name:
        return f"the file has no Pixel Data, as {sop_class.name} objects do: it may be truncated"
    return f"{sop_class.name} objects hold no Pixel Data"


def _word(attributes: Attributes, keyword: str, default: int | None = None) -> int:
    words = attributes.words(keyword)
    if len(words) == 1:
        return words[0]
    if default is None or words:
        raise CorruptImageError(f"{keyword} is missing or malformed")
    return default


def _signed(attributes: Attributes) -> bool:
    representation = _word(attributes, "PixelRepresentation", default=0)
    if representation > 1:
        raise CorruptImageError("Pixel Representation is neither 0 nor 1")
    return representation == 1


def _bits_allocated(attributes: Attributes) -> Literal[8, 16, 32]:
    match _word(attributes, "BitsAllocated"):
        case 8:
            return 8
        case 16:
            return 16
        case 32:
            return 32
        case _:
            raise UnsupportedImageError("Bits Allocated is neither 8, 16 nor 32")
