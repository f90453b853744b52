"""Image work, off the event loop: hashing, decoding, the model's tensor."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gateway.errors import Fault, ImagesTooLargeError
from gateway.studies.preparation import Preparation, named
from preprocess import (
    DecodeWorkers,
    Header,
    Limits,
    MediaType,
    PreprocessError,
    UnrecognisedImageError,
    check_contrast,
    measure,
    read_file_meta,
    read_metadata,
    read_values,
    sniff,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence
    from concurrent.futures import Future

    from gateway.models.served_model import ServedModel
    from gateway.observability.metrics import Metrics
    from gateway.runtime.deadline import Deadline
    from gateway.studies.preparation import PreparedImage
    from gateway.studies.refused_images import ImageError
    from gateway.studies.study import StudyImage
    from preprocess import DicomMetadata, FileMeta, Frame

T = TypeVar("T")

# Rows and columns kept of a JPEG that is decoded to be forgotten: all of its bytes are read.
_CHECKED_SIZE = (64, 64)


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """An image whose header tells of no fault.

    Parameters
    ----------
    sha256
        Of its bytes.
    media_type
        Kind of the file.
    """

    sha256: str
    media_type: MediaType


class Imaging:
    """`preprocess` on a bounded number of threads; OpenCV and the codecs release the GIL.

    Parameters
    ----------
    threads
        Number of images that may be worked on at once.
    limits
        Bounds on the size of one file.
    decode_timeout_s
        Seconds that one file may take in a codec; beyond it the codec's process is killed.
    message_bytes
        The largest message that Triton takes; see `call_for`.
    metrics
        Told how busy the threads are.
    """

    def __init__(
        self,
        *,
        threads: int,
        limits: Limits,
        metrics: Metrics,
        decode_timeout_s: float = 10.0,
        message_bytes: int = sys.maxsize,
    ) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="imaging")
        self._limits = limits
        self._message_bytes = message_bytes
        self._workers = DecodeWorkers(threads, timeout_s=decode_timeout_s)
        self._metrics = metrics.imaging
        self._metrics.threads.set(threads)
        self._metrics.decode_processes_busy.set_function(lambda: self._workers.busy)

    @property
    def limits(self) -> Limits:
        """Return the bounds on the size of one file."""
        return self._limits

    def close(self) -> None:
        """End the processes that codecs run in."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._workers.close()

    async def sha256(self, data: bytes | memoryview) -> str:
        """Return the SHA-256 of the bytes, in hexadecimal."""
        return await self._run(lambda: hashlib.sha256(data).hexdigest())

    async def dicom_metadata(self, part: str, data: bytes | memoryview) -> DicomMetadata | None:
        """Return the metadata in a DICOM file; None for a file of another kind.

        Raises
        ------
        UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError
            Naming the part.
        """
        if not is_dicom(data):
            return None
        return await self._run(partial(_read_metadata, part, data, self._limits))

    async def file_meta(self, data: bytes | memoryview) -> FileMeta:
        """Return the UIDs that a DICOM file names before its data set."""
        return await self._run(partial(read_file_meta, data))

    async def check_header(self, part: str, data: bytes | memoryview) -> None:
        """Check what a file's header says of its picture; nothing is decoded.

        Raises
        ------
        UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError
            Naming the part.
        """
        await self._run(partial(_measured, part, data, self._limits))

    async def check_together(self, images: Sequence[StudyImage]) -> None:
        """Check that all images of one request together have no more pixels than one may have.

        They are decoded side by side, so their memory adds up. A file that cannot be measured, or
        is too large by itself, is passed over: its decoding says what is wrong with it.

        Raises
        ------
        ImagesTooLargeError
        """
        await self._run(partial(_check_together, images, self._limits))

    async def checked(self, images: Sequence[StudyImage]) -> dict[str, CheckedImage | ImageError]:
        """Return images by part, or their faults by their headers; none of them is decoded.

        Raises
        ------
        ImagesTooLargeError
            They are too large together; see `check_together`.
        """
        return await self._run(partial(_checked, images, self._limits))

    async def check(self, part: str, data: bytes | memoryview) -> None:
        """Decode an image whose metadata are not there yet, and forget it.

        Raises
        ------
        UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError
        ImagesWithoutContrastError
            Naming the part.
        """
        await self._run(partial(self._check, part, data))

    async def prepare(
        self,
        image: StudyImage,
        models: Sequence[ServedModel],
        deadline: Deadline,
        *,
        read_before: Sequence[Container[str]],
        is_drawn: bool = False,
    ) -> tuple[str, list[PreparedImage | ImageError | None]]:
        """Return the image's SHA-256, and for each model the image as it takes it.

        None where the model has read it before; an error, which names the image's part, where it
        cannot be made for the model. It is decoded once for all models whose contracts ask for the
        same of its decoding.

        Parameters
        ----------
        deadline
            Of the request: the image is decoded in what it has left.
        read_before
            For each model, SHA-256 of images that need not be prepared, in hexadecimal.
        is_drawn
            True if a picture is drawn of the image once it is read.
        """
        preparation = Preparation(
            image,
            deadline=deadline,
            workers=self._workers,
            limits=self._limits,
            message_bytes=self._message_bytes,
            is_drawn=is_drawn,
        )
        return await self._run(partial(preparation.of, models, read_before))

    async def dicom_values(
        self, part: str, data: bytes | memoryview, keywords: Iterable[str]
    ) -> dict[str, tuple[str, ...]]:
        """Return the values of attributes of a DICOM file by keyword; none of another file.

        Raises
        ------
        UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError
            Naming the part.
        """
        if not is_dicom(data):
            return {}
        return await self._run(partial(_read_values, part, data, keywords, self._limits))

    async def frames(
        self, data: bytes | memoryview, *, at_least: tuple[int, int] | None = None
    ) -> tuple[Frame, ...]:
        """Return the decoded frames of an image that was accepted before.

        Parameters
        ----------
        at_least
            Rows and columns that a JPEG must keep; None keeps all of any image.
        """
        return await self._run(partial(self._workers.decode, data, self._limits, at_least=at_least))

    async def run(self, work: Callable[[], T]) -> T:
        """Return the result of other image work, such as drawing, under the same bound."""
        return await self._run(work)

    async def _run(self, work: Callable[[], T]) -> T:
        # A thread cannot be stopped: when a caller goes away its work is dropped if it still waits,
        # and keeps its thread if it runs, so that the bound holds, and with it the memory. (anyio's
        # limiter would let go at once: its shield knows no cancellation but anyio's own.)
        self._metrics.jobs_waiting.inc()
        # In the caller's context, where what libraries warn of is collected for the study.
        job = self._threads.submit(copy_context().run, self._begun, work)
        job.add_done_callback(self._dropped)
        return await asyncio.wrap_future(job)

    def _begun(self, work: Callable[[], T]) -> T:
        self._metrics.jobs_waiting.dec()
        with self._metrics.threads_busy.track_inprogress():
            return work()

    def _dropped(self, job: Future[T]) -> None:
        if job.cancelled():  # never begun: what runs cannot be cancelled
            self._metrics.jobs_waiting.dec()

    def _check(self, part: str, data: bytes | memoryview) -> None:
        try:
            measure(data, self._limits)
            check_contrast(self._workers.decode(data, self._limits, at_least=_CHECKED_SIZE))
        except PreprocessError as error:
            raise named(part, error) from error


def _checked(images: Sequence[StudyImage], limits: Limits) -> dict[str, CheckedImage | ImageError]:
    headers = _check_together(images, limits)
    return {
        image.part: CheckedImage(hashlib.sha256(image.data).hexdigest(), header.media_type)
        if isinstance(header, Header)
        else named(image.part, header)
        for image, header in zip(images, headers, strict=True)
    }


def _check_together(images: Sequence[StudyImage], limits: Limits) -> list[Header | PreprocessError]:
    headers = [_header(image, limits) for image in images]
    counts = [
        header.rows * header.columns * header.samples_per_pixel * header.frames
        for header in headers
        if isinstance(header, Header)
    ]
    pixels = sum(count for count in counts if count <= limits.pixels)
    if pixels > limits.pixels:
        detail = f"together have {pixels} pixels; a request may have {limits.pixels}"
        raise ImagesTooLargeError((Fault("image", detail),))
    return headers


def _header(image: StudyImage, limits: Limits) -> Header | PreprocessError:
    try:
        return measure(image.data, limits)
    except PreprocessError as error:
        return error


def is_dicom(data: bytes | memoryview) -> bool:
    """Return whether the bytes are a DICOM file; the decoder says what else they are."""
    try:
        return sniff(data) is MediaType.DICOM
    except UnrecognisedImageError:
        return False


def _read_metadata(part: str, data: bytes | memoryview, limits: Limits) -> DicomMetadata:
    try:
        return read_metadata(data, limits)
    except PreprocessError as error:
        raise named(part, error) from error


def _read_values(
    part: str, data: bytes | memoryview, keywords: Iterable[str], limits: Limits
) -> dict[str, tuple[str, ...]]:
    try:
        return read_values(data, keywords, limits)
    except PreprocessError as error:
        raise named(part, error) from error


def _measured(part: str, data: bytes | memoryview, limits: Limits) -> None:
    try:
        measure(data, limits)
    except PreprocessError as error:
        raise named(part, error) from error
