"""Data sets while they are received: in memory up to a bound, beyond it in a file without a name.

A file without a name needs no sweep: the system frees it with its last descriptor, also when the
sender or the gateway dies midway. pynetdicom's own way (`STORE_RECV_CHUNKED_DATASET`) leaves named
files behind then, and writes what is too large to its end.
"""

from __future__ import annotations

import tempfile
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from pynetdicom.dsutils import create_file_meta, encode_file_meta

from gateway.vocabulary.implementation import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)

if TYPE_CHECKING:
    from pydicom.uid import UID

# Received and written at once: larger than the head of an image, smaller than a radiograph.
MEMORY_BYTES = 1 << 20


class ReceivedDataSet(BytesIO):
    """A data set, written as its fragments come in.

    Parameters
    ----------
    limit_bytes
        Beyond it nothing is kept, whatever comes.

    Attributes
    ----------
    size
        Bytes that came.
    fault
        The reason why the data set is not kept, if the folder for temporary files is full.
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__()
        self.size = 0
        self.fault: OSError | None = None
        self._limit_bytes = limit_bytes
        self._file: IO[bytes] | None = None

    @property
    def is_too_large(self) -> bool:
        """Return True if more came than is kept."""
        return self.size > self._limit_bytes

    def write(self, data: Any, /) -> int:
        """Keep a fragment; nothing is raised where it cannot be kept."""
        length = memoryview(data).nbytes
        self.size += length
        if self.is_too_large or self.fault is not None:
            self._discard()
            return length
        try:
            self._keep(data)
        except OSError as error:
            self.fault = error
            self._discard()
        return length

    def file(self, head: bytes) -> memoryview:
        """Return the DICOM file that a head and the data set make; the data set is gone then.

        Raises
        ------
        OSError
            It cannot be read back.
        """
        whole = bytearray(len(head) + self.size)
        whole[: len(head)] = head
        with memoryview(whole) as view, view[len(head) :] as body:
            if self._file is None:
                body[:] = self.getbuffer()
            else:
                self._file.seek(0)
                if self._file.readinto(body) != self.size:  # type: ignore[attr-defined]
                    raise OSError(None, "the temporary file is shorter than what was written")
        self.close()
        return memoryview(whole)

    def close(self) -> None:
        """Let go of the data set."""
        self._discard()
        super().close()

    def _keep(self, data: Any) -> None:
        if self._file is None:
            if self.size <= MEMORY_BYTES:
                super().write(data)
                return
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `_discard`
            self._file.write(self.getbuffer())
            self._empty()
        self._file.write(data)

    def _discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if not self.closed:
            self._empty()

    def _empty(self) -> None:
        self.seek(0)
        self.truncate()


def file_head(sop_class_uid: UID, sop_instance_uid: UID, transfer_syntax_uid: UID) -> bytes:
    """Return preamble, prefix and File Meta Information of a received instance.

    The same for the same instance, whenever and from wherever it comes: an image is known by its
    bytes.

    References
    ----------
    DICOM PS3.10, 7.1.
    """
    meta = create_file_meta(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax=transfer_syntax_uid,
        implementation_uid=IMPLEMENTATION_CLASS_UID,
        implementation_version=IMPLEMENTATION_VERSION_NAME,
    )
    return b"\0" * 128 + b"DICM" + encode_file_meta(meta)
