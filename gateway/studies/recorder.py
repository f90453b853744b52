"""Telemetry events of a study: one for each stage it went through, and one in all."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import structlog

from gateway import __version__
from gateway.audit.trail import name_study
from gateway.errors import CallerGoneError, RadStreamError, log_fields
from gateway.observability.tracing import NO_TRACER, exemplar, spanned, trace_id
from gateway.schemas.metadata import PROBE_PREFIX, acceptance_run, is_study_id
from gateway.schemas.telemetry import Stage, StageStatus, TelemetryEvent
from gateway.studies.reading_events import reading_events
from gateway.studies.stage_timer import Stages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from opentelemetry.trace import Span, Tracer

    from gateway.observability.metrics import Metrics
    from gateway.observability.pseudonyms import Pseudonyms
    from gateway.results.documents import Reading
    from gateway.schemas.problem import Problem
    from gateway.schemas.reading_event import Event
    from gateway.studies.readings import FreshImage
    from gateway.studies.study import Route, Study

T = TypeVar("T")

log = structlog.get_logger()


class Validation:
    """A study in the making; of some no more is ever known than that they were refused."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.study_id: str | None = None

    def names(self, document: Mapping[str, Any] | None) -> None:
        """Learn the study's id from a document that may say anything; the first one counts."""
        study_id = (document or {}).get("study_id")
        if self.study_id is None and is_study_id(study_id):
            self.study_id = study_id
            name_study(study_id)

    def seconds(self) -> float:
        """Return the seconds since it began."""
        return time.perf_counter() - self._began


class StudyRecorder:
    """The recorder of studies, which makes their events whatever becomes of them.

    Parameters
    ----------
    emit
        Takes the events.
    count
        Counts the events of an acceptance run's readings under its name.
    metrics
        Told of each stage's and each study's time, and of the studies refused before their first
        stage.
    pseudonyms
        Names the studies.
    problem_of
        Says what an error means to the sender.
    instance
        Host name of this gateway.
    tracer
        Makes a span of each study, and of each of its stages.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        count: Callable[[Event, str], None],
        *,
        metrics: Metrics,
        pseudonyms: Pseudonyms,
        problem_of: Callable[[RadStreamError], Problem],
        instance: str,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._emit = emit
        self._count = count
        self._metrics = metrics
        self._pseudonyms = pseudonyms
        self.problem_of = problem_of
        self._instance = instance
        self._tracer = tracer

    @contextmanager
    def of_validation(
        self, route: Route, caller: str, files: Sequence[tuple[str, bytes | memoryview]]
    ) -> Iterator[Validation]:
        """Follow a study's making: telemetry hears of it only if it fails with its id known.

        The log and the metrics have every study that is refused here.
        """
        validation = Validation()
        try:
            with spanned(self._tracer, Stage.VALIDATE.value):
                yield validation
        except BaseException as error:
            if isinstance(error, RadStreamError):
                self._log_refusal(validation, route, caller, files, error)
            if validation.study_id is not None:
                stages = Stages(self._metrics, validate_s=validation.seconds())
                stages.current = Stage.VALIDATE
                facts = {
                    "caller": caller,
                    "images": len(files),
                    "image_bytes": sum(len(data) for _, data in files),
                }
                self._tell(validation.study_id, route, stages, error, facts)
            raise

    def _log_refusal(
        self,
        validation: Validation,
        route: Route,
        caller: str,
        files: Sequence[tuple[str, bytes | memoryview]],
        error: RadStreamError,
    ) -> None:
        """Log and count a study that was refused before the pipeline."""
        study_id = validation.study_id
        self._metrics.studies.count(route, caller, error.label)
        log.info(
            "study.failed",
            study_ref=None if study_id is None else self._pseudonyms.study_ref(study_id),
            route=route,
            images=len(files),
            **log_fields(error),
            validate_ms=round(validation.seconds() * 1000, 3),
        )

    @contextmanager
    def of(self, study: Study) -> Iterator[Stages]:
        """Follow a study from its making to its result."""
        study_id = study.metadata.study_id
        name_study(study_id)
        with spanned(self._tracer, "study") as span:
            stages = Stages(self._metrics, validate_s=study.validate_s, tracer=self._tracer)
            try:
                yield stages
            except BaseException as error:
                self._describe(span, study, stages, self._ending(error)[1])
                self._tell(
                    study_id,
                    study.route,
                    stages,
                    error,
                    _facts(study, stages),
                    received_at=study.received_at,
                )
                raise
            self._metrics.studies.seconds.labels(study.route).observe(
                stages.total_ms() / 1000, exemplar()
            )
            self._describe(span, study, stages, StageStatus.SUCCESS.value)
            self._tell(
                study_id,
                study.route,
                stages,
                None,
                _facts(study, stages),
                received_at=stages.first_received_at or study.received_at,
            )

    def tell_readings(self, study: Study, made: Iterable[tuple[FreshImage, Reading]]) -> None:
        """Tell of readings that were made and stored, each with the image it was made of.

        Those of probes and of acceptances are no work of the model's: they would look like drift.
        Those of an acceptance run are counted by themselves.
        """
        study_id = study.metadata.study_id
        run = acceptance_run(study_id)
        if run is None and study_id.startswith(PROBE_PREFIX):
            return
        try:
            common = {
                "study_ref": self._pseudonyms.study_ref(study_id),
                "route": study.route,
                "caller": study.caller,
                "gateway_version": __version__,
                "instance": self._instance,
                "trace_id": trace_id(),
            }
            for item, reading in made:
                for event in reading_events(item, reading, self._pseudonyms, common):
                    if run is None:
                        self._emit(event)
                    else:
                        self._count(event, run)
        except Exception:  # no study ends for its telemetry
            log.exception("telemetry.unexpected_error")

    def _describe(self, span: Span, study: Study, stages: Stages, outcome: str) -> None:
        """Put on a study's span what telemetry may know of it too."""
        if not span.is_recording():
            return
        rows, columns = stages.size or (None, None)
        attributes = {
            "study_ref": self._pseudonyms.study_ref(study.metadata.study_id),
            "route": study.route.value,
            "outcome": outcome,
            "images": len(study.parts),
            "not_processed": stages.not_processed,
            "image_bytes": sum(map(len, study.parts.values())),
            "model": stages.model.name if stages.model else None,
            "model_version": stages.model.version if stages.model else None,
            "rows": rows,
            "columns": columns,
        }
        span.set_attributes(
            {f"radstream.{name}": value for name, value in attributes.items() if value is not None}
        )

    def _tell(
        self,
        study_id: str,
        route: Route,
        stages: Stages,
        error: BaseException | None,
        facts: Mapping[str, Any],
        *,
        received_at: dt.datetime | None = None,
    ) -> None:
        try:
            common = {
                **facts,
                "study_ref": self._pseudonyms.study_ref(study_id),
                "route": route,
                "gateway_version": __version__,
                "instance": self._instance,
                "trace_id": trace_id(),
            }
            for outcome in self._outcomes(stages, error):
                identity = _event_id(common["study_ref"], received_at, outcome)
                self._emit(TelemetryEvent(**identity, **outcome, **common))
        except Exception:  # no study ends for its telemetry
            log.exception("telemetry.unexpected_error")

    def _outcomes(self, stages: Stages, error: BaseException | None) -> Iterator[dict[str, Any]]:
        """Yield the fields in which the events of one study differ."""
        failed_in = stages.current if error is not None else None
        for stage, timing in stages.timings.items():
            if stage is not failed_in:
                yield {
                    "stage": stage,
                    "status": StageStatus.SUCCESS,
                    "latency_ms": stages.milliseconds(stage),
                    "occurred_at": timing.ended_at,
                }
        ending: dict[str, Any] = {
            "status": StageStatus.SUCCESS,
            "occurred_at": dt.datetime.now(dt.UTC),
        }
        if error is not None:
            ending["status"], ending["error_code"] = self._ending(error)
        if failed_in is not None:
            yield {"stage": failed_in, "latency_ms": stages.current_ms(), **ending}
        yield {"stage": Stage.TOTAL, "latency_ms": stages.total_ms(), **ending}

    def _ending(self, error: BaseException) -> tuple[StageStatus, str]:
        """Return the status of a study that ends in an error, and its problem's short name."""
        if isinstance(error, asyncio.CancelledError):
            error = CallerGoneError()
        if not isinstance(error, RadStreamError):
            return StageStatus.ERROR, "internal"
        problem = self.problem_of(error)
        status = StageStatus.ERROR if problem.status >= 500 else StageStatus.FAILED  # noqa: PLR2004 - HTTP's
        return status, problem.type.rpartition(":")[2]


def _event_id(
    study_ref: str, received_at: dt.datetime | None, outcome: Mapping[str, Any]
) -> dict[str, str]:
    """Return the event id of a stage's outcome, or none, for a random one, if nothing was stored.

    A study that is processed again, since its gateway died before the end was recorded, has the
    same ids again, and so has a dropped image that is delivered again: it came once.
    """
    if received_at is None or outcome["status"] is not StageStatus.SUCCESS:
        return {}
    named = f"{study_ref} {received_at.isoformat()} {outcome['stage']}"
    return {"event_id": hashlib.sha256(named.encode()).hexdigest()[:32]}


def in_common(values: Iterable[T]) -> T | None:
    """Return the value that all of these share; None where they differ, or there are none."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _facts(study: Study, stages: Stages) -> dict[str, Any]:
    documents = [image.metadata for image in study.images]
    rows, columns = stages.size or (None, None)
    return {
        "caller": study.caller,
        "modality": in_common(document.modality for document in documents),
        "body_part": in_common(document.body_part for document in documents),
        "view": in_common(document.view for document in documents),
        "model": stages.model.name if stages.model else None,
        "model_version": stages.model.version if stages.model else None,
        "images": len(study.parts),
        "not_processed": stages.not_processed,
        "image_bytes": sum(map(len, study.parts.values())),
        "rows": rows,
        "columns": columns,
    }
