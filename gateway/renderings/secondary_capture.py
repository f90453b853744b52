"""A heat map as a DICOM Secondary Capture, in the patient's own study, in a series of its own.

The picture is that of the heat map's PNG, with a notice burnt in under it: a viewer that shows
nothing of the header still shows that a machine made it. The same reading gives the same bytes.

References
----------
DICOM PS3.3, A.8.1 (Secondary Capture Image IOD), C.7.6.1.1.3 (Derivation Description, Source Image
Sequence), C.8.6; PS3.16, CID 7202 (Source Image Purposes of Reference).
"""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING

import numpy as np
from highdicom.sc import SCImage
from PIL import Image, ImageDraw, ImageFont
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import DA, TM

from gateway.renderings.equipment import MAKER, SOFTWARE, contributing_equipment, written
from gateway.renderings.heat_maps import HEAT_MAP_SERIES_NUMBER
from gateway.renderings.source_header import UNICODE, frame_numbers
from gateway.renderings.words import NOT_REVIEWED, model_name
from gateway.vocabulary.statements import finding_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gateway.renderings.heat_maps import HeatMap

_INK, _PAPER, _PADDING, _LETTERS = (255, 221, 119), (0, 0, 0), 12, 14
_LINE = 18


def secondary_capture(heat_map: HeatMap, picture: NDArray[np.uint8]) -> bytes:
    """Return the DICOM file, RGB in Explicit VR Little Endian, not compressed.

    Parameters
    ----------
    picture
        (rows, columns, 3), as the PNG has it; not changed.
    """
    reading, header, reference = heat_map.reading, heat_map.header, heat_map.reference()
    model, completed_at = model_name(reading.model), reading.completed_at
    notice = " ".join(filter(None, (NOT_REVIEWED, reading.disclaimer)))
    capture = SCImage(
        pixel_array=_with_notice(picture, notice),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # demanded; replaced by the image's below
        **{name: header[keyword].value for name, keyword in _OF_STUDY.items()},
        series_instance_uid=reference.SeriesInstanceUID,
        series_number=HEAT_MAP_SERIES_NUMBER,
        series_description=heat_map.series_description,
        sop_instance_uid=reference.SOPInstanceUID,
        instance_number=heat_map.instance_number,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=SOFTWARE,
        specific_character_set=UNICODE,
        content_date=completed_at.date(),
        content_time=completed_at.time(),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        contributing_equipment=contributing_equipment([reading.model], completed_at),
    )
    capture.DateOfSecondaryCapture = DA(completed_at.date())
    capture.TimeOfSecondaryCapture = TM(completed_at.time())
    capture.BurnedInAnnotation = "YES"
    capture.PatientOrientation = header.get("PatientOrientation")
    for keyword in ("ImageLaterality", "LossyImageCompression"):
        if keyword in header:
            setattr(capture, keyword, header[keyword].value)
    if "ImageLaterality" not in header:
        # Empty where it is not known: without Body Part Examined (0018,0015), which would decide it
        # and of which modalities say what they like, the side may matter.
        capture.Laterality = header.get("Laterality")
    capture.ImageComments = notice
    capture.DerivationDescription = (
        f"Evidence for {finding_name(heat_map.finding.label)} by {model}, drawn over the image. "
        f"{NOT_REVIEWED}"
    )
    capture.SourceImageSequence = [_source(heat_map)]
    return written(capture, [reading.model], completed_at)


_OF_STUDY = {
    "study_instance_uid": "StudyInstanceUID",
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "patient_birth_date": "PatientBirthDate",
    "patient_sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "study_id": "StudyID",
    "study_date": "StudyDate",
    "study_time": "StudyTime",
    "referring_physician_name": "ReferringPhysicianName",
}


def _source(heat_map: HeatMap) -> Dataset:
    """Return the item of Source Image Sequence (0008,2112)."""
    header, purpose = heat_map.header, Dataset()
    code = codes.DCM.SourceImageForImageProcessingOperation
    purpose.CodeValue, purpose.CodingSchemeDesignator = code.value, code.scheme_designator
    purpose.CodeMeaning = code.meaning
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    numbers = frame_numbers(header, heat_map.index)
    if numbers is not None:
        item.ReferencedFrameNumber = numbers
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _with_notice(picture: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Return the picture with a band of words under it."""
    columns = picture.shape[1]
    font = ImageFont.load_default(_LETTERS)
    widest = max(font.getlength(letter) for letter in set(text))
    lines = textwrap.wrap(text, max(1, math.floor((columns - 2 * _PADDING) / widest)))
    band = Image.new("RGB", (columns, _LINE * len(lines) + _PADDING), _PAPER)
    draw = ImageDraw.Draw(band)
    for place, line in enumerate(lines):
        draw.text((_PADDING, _LINE * place), line, fill=_INK, font=font)
    return np.concatenate([picture, np.asarray(band)])
