"""Names by which this software makes itself known to other DICOM applications (PS3.7, D.3.3.2)."""

from __future__ import annotations

from pydicom.uid import UID

# Of this software, whatever its version: a part of the bytes that an instance is known by.
IMPLEMENTATION_CLASS_UID = UID("2.25.216591382122528922201639497094310861585")
IMPLEMENTATION_VERSION_NAME = "RADSTREAM"
