"""What a DICOM file says of the study, read without decoding a pixel."""

from dataclasses import dataclass

from preprocess.attributes import Attributes
from preprocess.dataset import read_file
from preprocess.image import number_of_frames
from preprocess.types import Buffer, Limits

_KEYWORDS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SOPClassUID",
    "PatientID",
    "AccessionNumber",
    "StudyDate",
    "StudyTime",
    "TimezoneOffsetFromUTC",
    "Modality",
    "BodyPartExamined",
    "ViewPosition",
    "Laterality",
    "ImageLaterality",
    "PhotometricInterpretation",
    "PresentationIntentType",
    "Rows",
    "Columns",
    "BitsStored",
    "NumberOfFrames",
    "SpecificCharacterSet",
)


@dataclass(frozen=True, slots=True)
class DicomMetadata:
    """Attributes of a DICOM file that routing and reporting need; None where one is absent.

    Text is as the file has it, without padding and nothing checked: `study_date` is DA (YYYYMMDD),
    `study_time` TM (HHMMSS.FFFFFF or shorter), `timezone_offset_from_utc` (0008,0201) is &ZZXX.
    """

    transfer_syntax_uid: str
    study_instance_uid: str | None
    series_instance_uid: str | None
    sop_instance_uid: str | None
    sop_class_uid: str | None
    patient_id: str | None
    accession_number: str | None
    study_date: str | None
    study_time: str | None
    timezone_offset_from_utc: str | None
    modality: str | None
    body_part_examined: str | None
    view_position: str | None
    laterality: str | None
    image_laterality: str | None
    photometric_interpretation: str | None
    presentation_intent_type: str | None
    rows: int | None
    columns: int | None
    bits_stored: int | None
    number_of_frames: int
    has_pixel_data: bool
    has_preamble: bool = True


def read_metadata(data: Buffer, limits: Limits | None = None) -> DicomMetadata:
    """The attributes of a DICOM file that routing and reporting need.

    Objects without a picture (reports, PDFs, key object selections) have metadata too.

    Raises
    ------
    CorruptImageError, UnsupportedImageError
        The data set cannot be parsed within its bounds.

    References
    ----------
    DICOM PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.8.11 and PS3.6.
    """
    file = read_file(data, _KEYWORDS, limits or Limits())
    text = file.attributes.text
    return DicomMetadata(
        transfer_syntax_uid=file.transfer_syntax_uid,
        study_instance_uid=text("StudyInstanceUID"),
        series_instance_uid=text("SeriesInstanceUID"),
        sop_instance_uid=text("SOPInstanceUID"),
        sop_class_uid=text("SOPClassUID"),
        patient_id=text("PatientID"),
        accession_number=text("AccessionNumber"),
        study_date=text("StudyDate"),
        study_time=text("StudyTime"),
        timezone_offset_from_utc=text("TimezoneOffsetFromUTC"),
        modality=text("Modality"),
        body_part_examined=text("BodyPartExamined"),
        view_position=text("ViewPosition"),
        laterality=text("Laterality"),
        image_laterality=text("ImageLaterality"),
        photometric_interpretation=text("PhotometricInterpretation"),
        presentation_intent_type=text("PresentationIntentType"),
        rows=_word(file.attributes, "Rows"),
        columns=_word(file.attributes, "Columns"),
        bits_stored=_word(file.attributes, "BitsStored"),
        number_of_frames=number_of_frames(file.attributes) or 1,
        has_pixel_data=file.has_pixel_data,
        has_preamble=file.has_preamble,
    )


def _word(attributes: Attributes, keyword: str) -> int | None:
    return next(iter(attributes.words(keyword)), None)
