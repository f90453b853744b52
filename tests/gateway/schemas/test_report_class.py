"""Classes of structured reports are those of the standard."""

from pydicom.uid import UID

from gateway.schemas.report_class import ReportClass


def test_each_class_has_the_uid_of_its_name():
    for each in ReportClass:
        assert UID(each.sop_class_uid).name == f"{each.name_of_iod} Storage"
