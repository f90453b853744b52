"""File Meta Information: what a DICOM file says of itself before its data set."""

from dataclasses import dataclass

from pydicom.filereader import read_dataset

from preprocess.attributes import Attributes, translate_parse_errors
from preprocess.beginning import find_beginning
from preprocess.dataset import MeteredStream
from preprocess.errors import CorruptImageError
from preprocess.types import Buffer

# The group has a dozen short elements; a private one may be longer.
_MOST_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class FileMeta:
    """UIDs of the File Meta Information; None where one is absent or cannot be read."""

    sop_class_uid: str | None = None
    sop_instance_uid: str | None = None
    transfer_syntax_uid: str | None = None


def read_file_meta(data: Buffer) -> FileMeta:
    """Return the UIDs that a DICOM file names before its data set.

    They identify a file whose data set cannot be read. All are None where there are none.

    References
    ----------
    DICOM PS3.10, 7.1: Media Storage SOP Class UID (0002,0002), Media Storage SOP Instance UID
    (0002,0003), Transfer Syntax UID (0002,0010).
    """
    beginning = find_beginning(data)
    if beginning is None or beginning.fault is not None or beginning.transfer_syntax_uid:
        return FileMeta()
    stream = MeteredStream(data[:_MOST_BYTES])
    stream.seek(beginning.offset)
    try:
        with translate_parse_errors():
            meta = read_dataset(
                stream,
                is_implicit_VR=False,
                is_little_endian=True,
                stop_when=lambda tag, _vr, _length: tag >> 16 > 2,
            )
            attributes = Attributes(meta, little_endian=True)
            return FileMeta(
                attributes.text("MediaStorageSOPClassUID"),
                attributes.text("MediaStorageSOPInstanceUID"),
                attributes.text("TransferSyntaxUID"),
            )
    except CorruptImageError:
        return FileMeta()
