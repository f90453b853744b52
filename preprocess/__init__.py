"""Radiographs in, model tensors out: pure functions on bytes and arrays.

The gateway and a training pipeline use the same functions, so that a model is served what it was
trained on. Nothing here reads a file, opens a socket or knows of the gateway.
"""

from preprocess.contrast import GreyShares, check_contrast, grey_shares
from preprocess.decode import decode, measure, sniff
from preprocess.errors import (
    CorruptImageError,
    DecodeTimeoutError,
    NoContrastError,
    PreprocessError,
    TooManyFramesError,
    TooManyPixelsError,
    TooManyScansError,
    TooMuchMemoryError,
    TruncatedImageError,
    UnrecognisedImageError,
    UnsupportedImageError,
)
from preprocess.file_meta import FileMeta, read_file_meta
from preprocess.metadata import Code, DicomMetadata, read_metadata
from preprocess.tensor import grey_range, to_shown_tensor, to_tensor
from preprocess.transfer_syntaxes import TAKEN_TRANSFER_SYNTAXES
from preprocess.types import (
    Aspect,
    Frame,
    FullRange,
    GreyRange,
    Header,
    InputSpec,
    Intensity,
    Limits,
    MediaType,
    Percentile,
    Resample,
    Window,
)
from preprocess.values import read_values
from preprocess.workers import DecodeWorkers

__all__ = [
    "TAKEN_TRANSFER_SYNTAXES",
    "Aspect",
    "Code",
    "CorruptImageError",
    "DecodeTimeoutError",
    "DecodeWorkers",
    "DicomMetadata",
    "FileMeta",
    "Frame",
    "FullRange",
    "GreyRange",
    "GreyShares",
    "Header",
    "InputSpec",
    "Intensity",
    "Limits",
    "MediaType",
    "NoContrastError",
    "Percentile",
    "PreprocessError",
    "Resample",
    "TooManyFramesError",
    "TooManyPixelsError",
    "TooManyScansError",
    "TooMuchMemoryError",
    "TruncatedImageError",
    "UnrecognisedImageError",
    "UnsupportedImageError",
    "Window",
    "check_contrast",
    "decode",
    "grey_range",
    "grey_shares",
    "measure",
    "read_file_meta",
    "read_metadata",
    "read_values",
    "sniff",
    "to_shown_tensor",
    "to_tensor",
]
