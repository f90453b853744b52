"""Attributes of a DICOM file that tell of the study, read without decoding a pixel."""

from contextlib import suppress
from dataclasses import dataclass

from preprocess.attributes import Attributes
from preprocess.character_sets import UndecodableTextError, has_control_characters
from preprocess.dataset import read_file
from preprocess.errors import CorruptImageError
from preprocess.image import number_of_frames
from preprocess.types import Buffer, Limits

KEYWORDS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SOPClassUID",
    "PatientID",
    "PatientAge",
    "PatientBirthDate",
    "AccessionNumber",
    "StudyDate",
    "StudyTime",
    "TimezoneOffsetFromUTC",
    "Modality",
    "BodyPartExamined",
    "AnatomicRegionSequence",
    "ViewPosition",
    "ViewCodeSequence",
    "PatientOrientation",
    "Laterality",
    "ImageLaterality",
    "ImageType",
    "PhotometricInterpretation",
    "PresentationIntentType",
    "QualityControlImage",
    "BurnedInAnnotation",
    "Rows",
    "Columns",
    "BitsStored",
    "NumberOfFrames",
    "NumberOfStudyRelatedInstances",
    "SpecificCharacterSet",
)
_MOST_CODES = 16
_LONGEST_INTEGER = 12  # PS3.5 6.2, IS


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (PS3.3 8.8): its value within the coding scheme that is named beside it."""

    scheme: str | None
    value: str


@dataclass(frozen=True, slots=True)
class DicomMetadata:
    """Attributes of a DICOM file that routing and reporting need; None where one is absent.

    Text is as the file has it, without padding and nothing checked: `patient_age` is AS (nnnY),
    `study_date` DA (YYYYMMDD), `study_time` TM (HHMMSS.FFFFFF or shorter),
    `timezone_offset_from_utc` (0008,0201) is &ZZXX.
    What should have one value and has several is given whole, backslashes and all.

    `unreadable` has the keywords of those that are present and cannot be read: text that its
    character set does not know, an identifier with control characters (PS3.5, 6.2, LO and SH), or
    a sequence that cannot be parsed. Their fields are None or
    empty.
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
    anatomic_regions: tuple[Code, ...] = ()
    view_codes: tuple[Code, ...] = ()
    patient_orientation: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    quality_control_image: str | None = None
    burned_in_annotation: str | None = None
    number_of_study_related_instances: int | None = None
    patient_age: str | None = None
    patient_birth_date: str | None = None
    unreadable: frozenset[str] = frozenset()


class _Reader:
    """A reader of attributes that notes one that cannot be read and goes on to the others."""

    def __init__(self, attributes: Attributes) -> None:
        self._attributes = attributes
        self.unreadable: set[str] = set()

    def word(self, keyword: str) -> str | None:
        """Return the whole value of a CS, DA, TM, SH or UI element."""
        return "\\".join(self.words(keyword)) or None

    def words(self, keyword: str) -> tuple[str, ...]:
        """Return the values of such an element."""
        try:
            return self._attributes.texts(keyword)
        except CorruptImageError:
            self.unreadable.add(keyword)
            return ()

    def identifier(self, keyword: str) -> str | None:
        """Return the whole text of an LO or SH element that says who or which order is meant.

        Raises
        ------
        CorruptImageError
            It is far longer than its kind may be.
        """
        with suppress(UndecodableTextError):
            text = self._attributes.identifier(keyword)
            if text is None or not has_control_characters(text):
                return text
        self.unreadable.add(keyword)
        return None

    def codes(self, keyword: str) -> tuple[Code, ...]:
        """Return the codes of a sequence's items."""
        try:
            items = self._attributes.items(keyword)[:_MOST_CODES]
            return tuple(code for item in items if (code := _code(item)) is not None)
        except CorruptImageError:
            self.unreadable.add(keyword)
            return ()


def read_metadata(data: Buffer, limits: Limits | None = None) -> DicomMetadata:
    """Return the attributes of a DICOM file that routing and reporting need.

    Objects without a picture (reports, PDFs, key object selections) have metadata too.

    Raises
    ------
    CorruptImageError, UnsupportedImageError
        The data set cannot be parsed within its bounds.

    References
    ----------
    DICOM PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.8.11 and PS3.6.
    """
    file = read_file(data, KEYWORDS, limits or Limits())
    reader = _Reader(file.attributes)
    word, words = reader.word, reader.words
    return DicomMetadata(
        transfer_syntax_uid=file.transfer_syntax_uid,
        study_instance_uid=word("StudyInstanceUID"),
        series_instance_uid=word("SeriesInstanceUID"),
        sop_instance_uid=word("SOPInstanceUID"),
        sop_class_uid=word("SOPClassUID"),
        patient_id=reader.identifier("PatientID"),
        accession_number=reader.identifier("AccessionNumber"),
        study_date=word("StudyDate"),
        study_time=word("StudyTime"),
        timezone_offset_from_utc=word("TimezoneOffsetFromUTC"),
        modality=word("Modality"),
        body_part_examined=word("BodyPartExamined"),
        view_position=word("ViewPosition"),
        laterality=word("Laterality"),
        image_laterality=word("ImageLaterality"),
        photometric_interpretation=word("PhotometricInterpretation"),
        presentation_intent_type=word("PresentationIntentType"),
        rows=_number(file.attributes, "Rows"),
        columns=_number(file.attributes, "Columns"),
        bits_stored=_number(file.attributes, "BitsStored"),
        number_of_frames=number_of_frames(file.attributes) or 1,
        has_pixel_data=file.has_pixel_data,
        has_preamble=file.has_preamble,
        anatomic_regions=reader.codes("AnatomicRegionSequence"),
        view_codes=reader.codes("ViewCodeSequence"),
        patient_orientation=words("PatientOrientation"),
        image_type=words("ImageType"),
        quality_control_image=word("QualityControlImage"),
        burned_in_annotation=word("BurnedInAnnotation"),
        number_of_study_related_instances=_integer(
            file.attributes, "NumberOfStudyRelatedInstances"
        ),
        patient_age=word("PatientAge"),
        patient_birth_date=word("PatientBirthDate"),
        unreadable=frozenset(reader.unreadable),
    )


def _number(attributes: Attributes, keyword: str) -> int | None:
    return next(iter(attributes.words(keyword)), None)


def _integer(attributes: Attributes, keyword: str) -> int | None:
    """Return the first value of an IS element above 0; None of what is none."""
    try:
        text = next(iter(attributes.decimal_strings(keyword)), "")
    except CorruptImageError:
        return None
    is_number = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_INTEGER
    return int(text) or None if is_number else None


def _code(item: Attributes) -> Code | None:
    """Return the code of an item of the Code Sequence Macro, in any of its three forms."""
    for keyword in ("CodeValue", "LongCodeValue", "URNCodeValue"):
        value = item.text(keyword)
        if value is not None:
            return Code(item.text("CodingSchemeDesignator"), value)
    return None
