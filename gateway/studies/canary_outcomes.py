"""Outcomes of readings, as monitoring and the watch over canaries count them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.schemas.result import Mode
from gateway.studies.inference import MODEL_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.monitoring.minutes import MinuteCounts
    from gateway.results.documents import Reading
    from gateway.routing.canary_watch import CanaryWatch
    from gateway.studies.readings import MissedReading
    from gateway.studies.taken_images import TakenImage


def note_failure(
    canaries: CanaryWatch,
    minutes: MinuteCounts | None,
    taken: Sequence[TakenImage],
    error: BaseException,
) -> None:
    """Note images of a request that fails by the fault of its models.

    Parameters
    ----------
    minutes
        None where monitoring does not count the study.
    """
    if not isinstance(error, MODEL_ERRORS):
        return
    for each in taken:
        for item in each.fresh:
            if minutes is not None:
                minutes.fail(item.model.name, item.model.version)
            if item.mode is Mode.CANARY:
                canaries.failed(item.model.name, item.model.version)


def note_outcomes(
    canaries: CanaryWatch,
    minutes: MinuteCounts | None,
    readings: Sequence[Reading],
    missed: Sequence[MissedReading],
) -> None:
    """Note what canaries read, and what models could not though others did; see `note_failure`."""
    for reading in readings:
        if reading.mode is Mode.CANARY:
            reasons = [reading.not_applicable, *(each.not_applicable for each in reading.frames)]
            canaries.read(
                reading.model.name,
                reading.model.version,
                not_applicable=reading.unfit is None and any(reasons),
                infer_ms=reading.timings_ms["infer"],
            )
    for item in missed:
        if not isinstance(item.error, MODEL_ERRORS):
            continue
        if minutes is not None and item.version is not None:
            minutes.fail(item.name, item.version)
        if item.mode is Mode.CANARY:
            canaries.failed(item.name, item.version)
