"""Readings of images by a model, as they are kept: the last stage before the store."""

from __future__ import annotations

import base64
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import Fault, InvalidMetadataError
from gateway.models.contracts import activation_cells, applicability_score, findings
from gateway.results.documents import ActivationMap, FrameReading, Reading
from gateway.schemas.contract import Outcome
from gateway.schemas.result import Mode, ResultWarning
from gateway.schemas.telemetry import Stage
from preprocess.geometry import place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from gateway.errors import RadStreamError
    from gateway.models.served_model import ServedModel
    from gateway.schemas.metadata import StudyMetadata
    from gateway.schemas.result import Finding, ModelVersion
    from gateway.studies.preparation import PreparedFrame, PreparedImage
    from gateway.studies.stage_timer import Stages
    from gateway.studies.study import Study, StudyImage

_UNLIKE = "was not made for a picture like this one, by its own score"
_MEANINGLESS = "its findings may mean nothing"

ReadingKey = tuple[str, "ModelVersion"]


@dataclass(frozen=True, slots=True)
class FreshImage:
    """An image its model has not read before."""

    image: StudyImage
    sha256: str
    model: ServedModel
    prepared: PreparedImage
    mode: Mode = Mode.LIVE
    silent: bool = False


@dataclass(frozen=True, slots=True)
class MissedReading:
    """A reading that could not be had, though the image has others.

    Parameters
    ----------
    sha256
        Of the image.
    name, version
        Of the model; no version where it is not known which one would read the image.
    mode
        The part that the model plays.
    error
        The reason.
    """

    sha256: str
    name: str
    version: str | None
    mode: Mode
    error: RadStreamError

    @classmethod
    def of(
        cls, sha256: str, model: ServedModel, mode: Mode, error: RadStreamError
    ) -> MissedReading:
        """Return the missed reading of a model that is served."""
        return cls(sha256, model.name, model.version, mode, error)


def image_reading(
    study: Study, item: FreshImage, name: str, frames: Sequence[FrameReading], stages: Stages
) -> Reading:
    """Return the reading of one image: what its model made of each of its frames.

    Parameters
    ----------
    name
        Of the image's object in the store.
    """
    metadata, contract = item.image.metadata, item.model.contract
    reason = item.image.unfit or not_applicable(item.model, metadata)
    uids = item.image.uids
    return Reading(
        study_id=metadata.study_id,
        sha256=item.sha256,
        media_type=item.prepared.media_type,
        object=name,
        model=item.model.reference,
        mode=item.mode,
        silent=item.silent,
        title=contract.title,
        intended_use=contract.summary,
        disclaimer=contract.disclaimer,
        not_applicable=reason,
        unfit=item.image.unfit,
        doubts=() if reason else doubts(item.model, metadata),
        received_at=study.received_at,
        completed_at=dt.datetime.now(dt.UTC),
        timings_ms={
            "decode": round(item.prepared.decode_s * 1000, 3),
            "tensor": round(item.prepared.tensor_s * 1000, 3),
            "infer": stages.milliseconds(Stage.INFER),
            "total": stages.total_ms(),
        },
        warnings=item.image.notices + _unusable(item) + _doubts(item, reason, frames),
        metadata=metadata.model_dump(mode="json", exclude_unset=True),
        study_instance_uid=uids.study_instance_uid,
        series_instance_uid=uids.series_instance_uid,
        sop_instance_uid=uids.sop_instance_uid,
        frames=judged(reason, frames),
        dropped_as=study.dropped_as,
        sender=study.caller,
        route=study.route.value,
    )


def withheld(reading: Reading) -> Reading:
    """Return a reading as it is stored: of a silent model nothing can be shown of it."""
    if not reading.silent:
        return reading
    frames = tuple(
        frame.model_copy(
            update={"findings": (), "activation_map": None, "withheld": frame.findings}
        )
        for frame in reading.frames
    )
    return reading.model_copy(update={"frames": frames})


def _unusable(item: FreshImage) -> tuple[ResultWarning, ...]:
    """Return a notice for each thing the file says of its picture that was not usable."""
    return tuple(
        ResultWarning(pointer=item.image.part, detail=sentence)
        for sentence in item.prepared.warnings
    )


def not_applicable(model: ServedModel, metadata: StudyMetadata) -> str | None:
    """Return why a model is not applicable to such a study; None where it is."""
    reasons = [
        doubt.reason for doubt in model.doubts(metadata) if doubt.outcome is not Outcome.WARN
    ]
    return next(iter(reasons), None)


def doubts(model: ServedModel, metadata: StudyMetadata) -> tuple[str, ...]:
    """Return the reasons to doubt that a model is applicable to such a study."""
    return tuple(doubt.reason for doubt in model.doubts(metadata))


def _doubts(
    item: FreshImage, reason: str | None, frames: Sequence[FrameReading]
) -> tuple[ResultWarning, ...]:
    """Return a notice where the model is not applicable, and of each doubt where it may be."""
    reason = reason or next(filter(None, (frame.not_applicable for frame in frames)), None)
    told = {"/model": reason} if reason is not None else {}
    if reason is None:
        told = {doubt.pointer: doubt.reason for doubt in item.model.doubts(item.image.metadata)}
    return tuple(
        ResultWarning(
            pointer=pointer,
            detail=f"{item.image.part}: {item.model.name} {said}; {_MEANINGLESS}",
        )
        for pointer, said in told.items()
    )


def judged(reason: str | None, frames: Iterable[FrameReading]) -> tuple[FrameReading, ...]:
    """Return the readings of frames; nothing is positive where the model is not applicable.

    Parameters
    ----------
    reason
        See `not_applicable`.
    """
    return tuple(
        frame if reason is None and frame.not_applicable is None else _without_verdict(frame)
        for frame in frames
    )


def _without_verdict(frame: FrameReading) -> FrameReading:
    """Return the frame's reading by a model that is not applicable: nothing is positive in it."""
    findings = tuple(item.model_copy(update={"positive": None}) for item in frame.findings)
    return frame.model_copy(update={"findings": findings})


def frame_reading(
    frame: PreparedFrame, model: ServedModel, output: Mapping[str, NDArray[Any]]
) -> FrameReading:
    """Return the reading of a frame from the model's output.

    Raises
    ------
    ContractError
        The output is not what the contract promises.
    """
    contract = model.contract
    activation_map = None
    if contract.output.activation_map is not None:
        cells = activation_cells(contract, output[contract.output.activation_map])
        labels, rows, columns = cells.shape
        shape, size = (frame.rows, frame.columns), (contract.input.rows, contract.input.columns)
        activation_map = ActivationMap(
            shape=(labels, rows, columns),
            covers=place(shape, size, contract.input.aspect).covered(shape, size),
            full=contract.output.activation_full,
            data=_base64(cells),
        )
    score, known = applicability_score(contract, output), contract.output.applicability
    is_like = score is None or known is None or score >= known.threshold
    return FrameReading(
        rows=frame.rows,
        columns=frame.columns,
        bits_stored=frame.bits_stored,
        shown=(frame.call.shown.black, frame.call.shown.white),
        findings=findings(contract, output[contract.output.name]),
        activation_map=activation_map,
        applicability_score=score,
        not_applicable=frame.unaccepted or (None if is_like else _UNLIKE),
    )


def _base64(cells: NDArray[np.float16]) -> bytes:
    """Return the cells in base64, the form that pydantic's Base64Bytes takes."""
    return base64.b64encode(cells.tobytes())


def key_of(item: FreshImage) -> ReadingKey:
    """Return the key of an image and the model version that reads it."""
    return item.sha256, item.model.reference


def distinct(items: Iterable[FreshImage]) -> list[FreshImage]:
    """Return each image once for each model, where it was sent first."""
    first: dict[ReadingKey, FreshImage] = {}
    for item in items:
        first.setdefault(key_of(item), item)
    return list(first.values())


def check_size(image: StudyImage, frames: Sequence[PreparedFrame] | Sequence[FrameReading]) -> None:
    """Compare the size that the sender declared with the pixels.

    Raises
    ------
    InvalidMetadataError
    """
    declared = image.metadata.image_size
    if declared is None:
        return
    faults = tuple(
        Fault("/image_size", f"{image.part} has width {frame.columns} and height {frame.rows}")
        for frame in frames
        if (frame.rows, frame.columns) != (declared.height, declared.width)
    )
    if faults:
        raise InvalidMetadataError(faults)


def told_verdict(finding: Finding) -> str:
    """Return the finding's verdict as metrics have it."""
    return "not_applicable" if finding.positive is None else str(finding.positive).lower()
