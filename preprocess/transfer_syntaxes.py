"""Transfer syntaxes: those that are read, and the names of those that are not."""

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from preprocess.errors import UnsupportedImageError

UNCOMPRESSED = frozenset(
    (
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    )
)
# Of the retired processes those without hierarchy and arithmetic coding: 6, 8, 10 and 12.
_RETIRED_JPEG = frozenset(("1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55"))
JPEG = _RETIRED_JPEG.union(
    (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1),
)
JPEG_LS = frozenset((JPEGLSLossless, JPEGLSNearLossless))
JPEG_2000_LOSSLESS_ONLY = frozenset((JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL))
JPEG_2000 = JPEG_2000_LOSSLESS_ONLY.union((JPEG2000, HTJ2K))
RISKY = JPEG_2000 | JPEG_LS
"""Those whose decoders can take long, or much memory, over a small file."""

TAKEN_TRANSFER_SYNTAXES = UNCOMPRESSED | JPEG | RISKY | {RLELossless}
"""Those that are read."""

# PS3.6 has named these since pydicom's dictionary was made.
_NEWER_NAMES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.8.1": "Deflated Image Frame Compression",
}


def check_taken(transfer_syntax_uid: UID) -> None:
    """Refuse a transfer syntax that is not read, by its name in PS3.6.

    Raises
    ------
    UnsupportedImageError
        A UID that the standard does not name is not repeated.
    """
    if transfer_syntax_uid in TAKEN_TRANSFER_SYNTAXES:
        return
    name = _NEWER_NAMES.get(transfer_syntax_uid)
    if name is None and transfer_syntax_uid.is_transfer_syntax:
        name = transfer_syntax_uid.name
    if name is None:
        raise UnsupportedImageError("the Transfer Syntax is none of those taken")
    raise UnsupportedImageError(f"the Transfer Syntax {name} is not taken")
