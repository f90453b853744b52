"""The equipment of rendered DICOM objects: RadStream makes them, models contribute.

References
----------
DICOM PS3.3, C.7.5.1 (General Equipment), C.12.1 (Contributing Equipment Sequence). IHE Radiology
Technical Framework Supplement *AI Results* (AIR), 6.5.3.1: a Device UID that changes with the
model's version.
"""

from __future__ import annotations

from importlib.metadata import version
from io import BytesIO
from typing import TYPE_CHECKING

import highdicom
from pydicom.sr.codedict import codes
from pydicom.valuerep import DA, DT, TM

from gateway.renderings.identifiers import derived_uid

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from gateway.schemas.result import ModelVersion

MAKER = "RadStream"
SOFTWARE = version("radstream")
_LONGEST_NAME = 64  # of a long string (LO), PS3.5, 6.2


def contributing_equipment(
    models: Sequence[ModelVersion], completed_at: dt.datetime
) -> list[highdicom.ContributingEquipment]:
    """Return an item for each model; `written` gives it its Device UID."""
    return [
        highdicom.ContributingEquipment(
            manufacturer=MAKER,
            purpose_of_reference=codes.DCM.ProcessingEquipment,
            manufacturer_model_name=model.name[:_LONGEST_NAME],
            software_versions=model.version,
            contribution_datetime=completed_at,
        )
        for model in models
    ]


def written(
    document: highdicom.SOPClass, models: Sequence[ModelVersion], completed_at: dt.datetime
) -> bytes:
    """Return the file, after what highdicom takes from the clock or cannot be told is put right.

    Parameters
    ----------
    document
        Made with the contributing equipment of these models.
    completed_at
        Time of the newest reading: the object is as old as what it tells of.
    """
    document.InstanceCreationDate = DA(completed_at.date())
    document.InstanceCreationTime = TM(completed_at.time())
    for item in document.ContributingEquipmentSequence:
        item.ContributionDateTime = DT(completed_at)
    ours = document.ContributingEquipmentSequence[: len(models)]  # highdicom's own comes after
    for item, model in zip(ours, models, strict=True):
        item.DeviceUID = derived_uid("Device", model.name, model.version)
    file = BytesIO()
    document.save_as(file, enforce_file_format=True)
    return file.getvalue()
