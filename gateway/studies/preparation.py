"""An image as the models take it: decoded once for all that ask the same of its decoding."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import (
    Fault,
    ImagesTooLargeError,
    ImagesWithoutContrastError,
    UnreadableImagesError,
    UnsupportedImagesError,
)
from gateway.models.pixel_checks import unaccepted_pixels
from gateway.models.placement import call_for
from gateway.studies.acquisition import UNKNOWN, Acquisition
from preprocess import (
    CorruptImageError,
    MediaType,
    NoContrastError,
    PreprocessError,
    UnrecognisedImageError,
    UnsupportedImageError,
    check_contrast,
    measure,
)
from preprocess.statistics import sampled_statistics, tensor_statistics

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from gateway.models.placement import ModelCall
    from gateway.models.served_model import ServedModel
    from gateway.runtime.deadline import Deadline
    from gateway.studies.refused_images import ImageError
    from gateway.studies.study import StudyImage
    from preprocess import DecodeWorkers, Frame, Header, Limits
    from preprocess.statistics import TensorStatistics

# Frames that take more are decoded again for a picture: they would lie in memory for the inference.
_KEPT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class PreparedFrame:
    """One frame as the model takes it.

    Parameters
    ----------
    rows, columns, bits_stored
        Of the frame as sent.
    call
        The frame in the form its model takes it.
    statistics
        Of the model's tensor.
    unaccepted
        The reason that the model was not made for it, by its pixels; None where it may be.
    """

    rows: int
    columns: int
    bits_stored: int
    call: ModelCall
    statistics: TensorStatistics
    unaccepted: str | None = None


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """A decoded file.

    Parameters
    ----------
    media_type, frames
        The kind of file, and its frames.
    began, decode_s
        Start of its decoding, by `time.perf_counter`, and seconds that it took.
    tensor_began, tensor_s
        Start of the making of its tensor, and seconds that it took.
    is_shared
        True if it was decoded for another model, whose time it is.
    warnings
        Sentences about what the file says that was not usable.
    decoded
        Its frames as they were decoded, where they are small and a picture is drawn of them.
    acquisition
        Circumstances of its making, where the file tells of them.
    """

    media_type: MediaType
    frames: tuple[PreparedFrame, ...]
    began: float
    decode_s: float
    tensor_s: float
    tensor_began: float = 0.0
    is_shared: bool = False
    warnings: tuple[str, ...] = ()
    decoded: tuple[Frame, ...] = ()
    acquisition: Acquisition = UNKNOWN


@dataclass(frozen=True, slots=True)
class Preparation:
    """The preparation of one image, on a thread of its own.

    Parameters
    ----------
    image, deadline, is_drawn
        See `Imaging.prepare`.
    workers, limits
        Decode it, within bounds.
    message_bytes
        The largest message that Triton takes; see `call_for`.
    """

    image: StudyImage
    deadline: Deadline
    workers: DecodeWorkers
    limits: Limits
    message_bytes: int
    is_drawn: bool

    def of(
        self, models: Sequence[ServedModel], read_before: Sequence[Container[str]]
    ) -> tuple[str, list[PreparedImage | ImageError | None]]:
        """Return the image for each model; see `Imaging.prepare`."""
        sha256 = self.image.sha256 or hashlib.sha256(self.image.data).hexdigest()
        outcomes: list[PreparedImage | ImageError | None] = [None] * len(models)
        fresh = [place for place, before in enumerate(read_before) if sha256 not in before]
        if not fresh:
            return sha256, outcomes
        try:
            header = measure(self.image.data, self.limits)
        except PreprocessError as error:
            fault = named(self.image.part, error)
            return sha256, [fault if place in fresh else None for place in range(len(models))]
        decodings: dict[tuple[int, int], _Decoding | ImageError] = {}
        for place in fresh:
            model = models[place]
            least = _least_size(header, model)
            key = least if header.media_type is MediaType.JPEG else (0, 0)
            shared = key in decodings
            if not shared:
                decodings[key] = self._decoded(least)
            decoding = decodings[key]
            if not isinstance(decoding, _Decoding):
                outcomes[place] = decoding
                continue
            outcomes[place] = self._for(model, header, decoding, is_shared=shared)
        return sha256, outcomes

    def _decoded(self, at_least: tuple[int, int]) -> _Decoding | ImageError:
        began = time.perf_counter()
        try:
            frames = self.workers.decode(
                self.image.data,
                self.limits,
                at_least=at_least,
                timeout_s=self.deadline.remaining_s(),
            )
        except PreprocessError as error:
            return named(self.image.part, error)
        return _Decoding(tuple(frames), began, time.perf_counter() - began)

    def _for(
        self, model: ServedModel, header: Header, decoding: _Decoding, *, is_shared: bool
    ) -> PreparedImage | ImageError:
        began, frames = time.perf_counter(), decoding.frames
        try:
            check_contrast(frames, model.contract.input.intensity.spec())
        except PreprocessError as error:
            return named(self.image.part, error)
        prepared = tuple(self._frame(model, header, frame) for frame in frames)
        is_kept = self.is_drawn and sum(frame.samples.nbytes for frame in frames) <= _KEPT_BYTES
        return PreparedImage(
            header.media_type,
            prepared,
            decoding.began,
            decode_s=decoding.seconds,
            tensor_s=time.perf_counter() - began,
            tensor_began=began,
            is_shared=is_shared,
            warnings=frames[0].warnings,
            decoded=frames if is_kept else (),
            acquisition=Acquisition.of_file(self.image.data, header.media_type, self.limits),
        )

    def _frame(self, model: ServedModel, header: Header, frame: Frame) -> PreparedFrame:
        spec = model.contract.input.spec()
        call = call_for(model, frame, message_bytes=self.message_bytes)
        # An ensemble makes the tensor itself.
        tensor = call.inputs[model.contract.input.name] if call.name == model.name else None
        return PreparedFrame(
            rows=frame.rows,
            columns=frame.columns,
            bits_stored=header.bits_stored,
            call=call,
            statistics=sampled_statistics(frame, spec)
            if tensor is None
            else tensor_statistics(tensor[0], spec),
            unaccepted=unaccepted_pixels(model.contract, frame, call.shown),
        )


@dataclass(frozen=True, slots=True)
class _Decoding:
    frames: tuple[Frame, ...]
    began: float
    seconds: float


def _least_size(header: Header, model: ServedModel) -> tuple[int, int]:
    """Return rows and columns a JPEG must keep while it is decoded, by the model's contract.

    An ensemble resamples all samples that it is sent, so none may jut out of the picture: for it
    the reduction divides the picture's size.
    """
    wanted = model.contract.input
    factor: int = wanted.jpeg_reduction
    while model.ensembles and (header.rows % factor or header.columns % factor):
        factor //= 2
    return max(header.rows // factor, wanted.rows), max(header.columns // factor, wanted.columns)


def named(part: str, error: PreprocessError) -> ImageError:
    """Return what a fault of an image is to its sender, naming the part."""
    faults = (Fault(part, error.reason),)
    match error:
        case UnrecognisedImageError() | UnsupportedImageError():
            return UnsupportedImagesError(faults)
        case CorruptImageError():
            return UnreadableImagesError(faults)
        case NoContrastError():
            return ImagesWithoutContrastError(faults)
        case _:
            return ImagesTooLargeError(faults)
