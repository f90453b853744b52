"""Classes of DICOM structured reports."""

from __future__ import annotations

from enum import StrEnum


class ReportClass(StrEnum):
    """SOP class that a destination takes structured reports in.

    References
    ----------
    DICOM PS3.3, A.35.2, A.35.3 and A.35.13; PS3.4, table B.5-1.
    """

    COMPREHENSIVE_3D = "comprehensive-3d"
    COMPREHENSIVE = "comprehensive"
    ENHANCED = "enhanced"

    @property
    def sop_class_uid(self) -> str:
        """Return the SOP Class UID."""
        return _UIDS[self]

    @property
    def name_of_iod(self) -> str:
        """Return the name of its IOD, as DICOM has it."""
        return _NAMES[self]


_NAMES = {
    ReportClass.COMPREHENSIVE_3D: "Comprehensive 3D SR",
    ReportClass.COMPREHENSIVE: "Comprehensive SR",
    ReportClass.ENHANCED: "Enhanced SR",
}
DEFAULT = ReportClass.COMPREHENSIVE_3D
_UIDS = {
    ReportClass.COMPREHENSIVE_3D: "1.2.840.10008.5.1.4.1.1.88.34",
    ReportClass.COMPREHENSIVE: "1.2.840.10008.5.1.4.1.1.88.33",
    ReportClass.ENHANCED: "1.2.840.10008.5.1.4.1.1.88.22",
}
