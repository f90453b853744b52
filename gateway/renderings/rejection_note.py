"""A rejection note: a Key Object Selection by which archives hide objects that were sent.

Results of a wrong patient and of a deleted study are withdrawn by it: heat maps have no successor
as reports have. It names the objects for one destination, which lists them in the study's document.

References
----------
IHE Radiology Technical Framework, Imaging Object Change Management (IOCM). DICOM PS3.3, A.35.4 (Key
Object Selection Document IOD), C.17.6; PS3.16: TID 2010, CID 7010, (113037, DCM, "Rejected for
Patient Safety Reasons"), of which consumers show neither the objects nor the note.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from highdicom import ko, sr
from pydicom.sr.codedict import codes
from pydicom.uid import Comprehensive3DSRStorage, SecondaryCaptureImageStorage
from pydicom.valuerep import DA, TM

from gateway.renderings.equipment import MAKER, SOFTWARE, written
from gateway.renderings.identifiers import derived_uid
from gateway.renderings.revisions import report_series
from gateway.renderings.source_header import UNICODE
from gateway.renderings.words import WITHDRAWN

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

    from gateway.renderings.rejections import Rejection

_SERIES_NUMBER = 992
_SERIES_DESCRIPTION = "AI results, withdrawn"


def rejection_note(rejection: Rejection, header: Dataset, at: dt.datetime) -> bytes:
    """Return the note, a DICOM file in Explicit VR Little Endian.

    Parameters
    ----------
    rejection
        Objects that are withdrawn.
    header
        Of an image of the study, with the patient that the objects are of; see `source_header`.
    at
        Time of the note.
    """
    objects = list(_references(rejection, header))
    device = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid("Device", MAKER, SOFTWARE),
            name=MAKER,
            manufacturer_name=MAKER,
            model_name=MAKER,
        ),
    )
    note = ko.KeyObjectSelectionDocument(
        evidence=objects,
        content=ko.KeyObjectSelection(
            document_title=codes.DCM.RejectedForPatientSafetyReasons,
            referenced_objects=objects,
            observer_device_context=device,
            description=WITHDRAWN[rejection.withdrawal],
        ),
        series_instance_uid=derived_uid("rejection notes", header.StudyInstanceUID),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=rejection.sop_instance_uid,
        instance_number=1,
        manufacturer=MAKER,
    )
    note.SpecificCharacterSet = UNICODE
    note.SeriesDescription = _SERIES_DESCRIPTION
    note.ManufacturerModelName, note.SoftwareVersions = MAKER, SOFTWARE
    note.ContentDate, note.ContentTime = DA(at.date()), TM(at.time())
    return written(note, [], at)


def _references(rejection: Rejection, header: Dataset) -> Iterator[Dataset]:
    series = report_series(header.StudyInstanceUID)
    for uid in rejection.reports:
        item = copy.deepcopy(header)  # a shallow one shares the elements
        del item.Rows, item.Columns  # by which highdicom tells images
        item.SOPClassUID = rejection.classes.get(uid, Comprehensive3DSRStorage)
        item.SOPInstanceUID = uid
        item.SeriesInstanceUID = series
        yield item
    for capture in rejection.captures:
        item = copy.deepcopy(header)
        item.SOPClassUID = SecondaryCaptureImageStorage
        item.SOPInstanceUID = capture.sop_instance_uid
        item.SeriesInstanceUID = capture.series_instance_uid
        yield item
