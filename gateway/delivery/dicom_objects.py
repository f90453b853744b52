"""DICOM objects on their way to an archive."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from gateway.errors import DeliveryRefusedError

if TYPE_CHECKING:
    from pydicom.dataset import FileDataset

MEDIA_TYPE = "application/dicom"

# Success, and warnings of PS3.4, B.2.3 and PS3.7, annex C: the object is stored. Who has it already
# says 0111, duplicate SOP Instance.
STORED = frozenset({0x0000, 0x0107, 0x0111, 0x0116, 0xB000, 0xB006, 0xB007})
_PROCESSING_FAILURE = 0x0110
_OUT_OF_RESOURCES = 0xA7


def parsed(data: bytes) -> FileDataset:
    """Return the data set of a DICOM file.

    Raises
    ------
    DeliveryRefusedError
        It is none.
    """
    try:
        return dcmread(BytesIO(data))
    except (InvalidDicomError, OSError, ValueError) as error:
        raise DeliveryRefusedError("the result is no DICOM file") from error


def may_pass(status: int) -> bool:
    """Return True of a failure that may pass: the archive is full, or failed on its own account.

    Parameters
    ----------
    status
        Status (0000,0900) of a C-STORE, or Failure Reason (0008,1197) of STOW-RS.
    """
    return status == _PROCESSING_FAILURE or status >> 8 == _OUT_OF_RESOURCES
