"""Choice of the models that read an image: by the rules, or by the models' contracts alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from gateway.audit.trail import note_unrouted
from gateway.errors import (
    InferenceUnavailableError,
    InvalidMetadataError,
    KeptOutError,
    NoRuleError,
    UnknownModelError,
)
from gateway.models.selection import not_accepted
from gateway.routing.rules import Outcome
from gateway.schemas.metadata import PROBE_PREFIX, ModelReference
from gateway.schemas.result import Mode
from gateway.studies.routing_facts import facts_of

if TYPE_CHECKING:
    from gateway.models.registry import ModelRegistry
    from gateway.models.served_model import ServedModel
    from gateway.monitoring.silences import Silences
    from gateway.observability.metrics import Metrics
    from gateway.routing.canary_watch import CanaryWatch
    from gateway.routing.in_force import Routing
    from gateway.routing.rules import Decision
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.metadata import StudyMetadata
    from gateway.schemas.result import ModelVersion
    from gateway.studies.imaging import Imaging
    from gateway.studies.study import Study, StudyImage

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Target:
    """A model that is to read an image, the part that it plays, and whether it is silent."""

    model: ServedModel
    mode: Mode = Mode.LIVE
    silent: bool = False


@dataclass(frozen=True, slots=True)
class AbsentModel:
    """A model that is to read an image, and that is not there."""

    model: ModelReference
    mode: Mode
    error: InferenceUnavailableError


@dataclass(frozen=True, slots=True)
class ChosenModels:
    """Models that are to read an image.

    Parameters
    ----------
    targets
        Those that are ready, one at the least.
    absent
        Those that are not.
    decision
        Of the rules.
    """

    image: StudyImage
    targets: tuple[Target, ...]
    absent: tuple[AbsentModel, ...]
    decision: Decision


class ModelChoice:
    """The choice of models.

    Parameters
    ----------
    models
        Those that there are.
    routing
        Has the rules.
    imaging
        Reads the DICOM attributes that rules ask for.
    metrics
        Told of decisions.
    canaries
        Told of canaries that are away while others answer.
    silences
        Knows which models are silent.
    """

    def __init__(
        self,
        models: ModelRegistry,
        routing: Routing,
        imaging: Imaging,
        metrics: Metrics,
        canaries: CanaryWatch,
        *,
        silences: Silences,
    ) -> None:
        self._canaries = canaries
        self._models = models
        self._routing = routing
        self._imaging = imaging
        self._metrics = metrics.routing
        self._silences = silences

    async def choose(
        self, study: Study, image: StudyImage, outlast: Deadline | None = None
    ) -> ChosenModels:
        """Return the models that are to read an image of a study.

        A model that the metadata name reads it past all rules but those that keep out.

        Parameters
        ----------
        outlast
            Waits until then for a model that was found dead as the study came; see
            `ModelRegistry`.

        Raises
        ------
        KeptOutError, NoRuleError
            By the rules no model reads it.
        UnknownModelError, NoModelAcceptsError, InvalidMetadataError, InferenceUnavailableError
            See `ModelRegistry.select`; of all models that are to read it.
        StoreError
            See `Silences.is_silent`.
        """
        decision = await self.decide(study, image)
        try:
            return await self.by(decision, image, outlast)
        except InferenceUnavailableError:
            if image.metadata.model is None and decision.models and self._models.ready():
                for absent in self._among(image, decision).absent:
                    if absent.mode is Mode.CANARY:
                        self._canaries.failed(absent.model.name, absent.model.version)
            raise

    async def by(
        self, decision: Decision, image: StudyImage, outlast: Deadline | None = None
    ) -> ChosenModels:
        """Return the models that are to read an image by a decision of the rules; see `choose`."""
        chosen = await self._chosen(decision, image, outlast)
        if image.metadata.study_id.startswith(PROBE_PREFIX):  # by which a silent model is judged
            return chosen
        targets = [
            replace(
                each, silent=await self._silences.is_silent(each.model.name, each.model.version)
            )
            for each in chosen.targets
        ]
        return replace(chosen, targets=tuple(targets))

    async def _chosen(
        self, decision: Decision, image: StudyImage, outlast: Deadline | None
    ) -> ChosenModels:
        if image.metadata.model is not None or not decision.models:
            target = Target(await self._select(image.metadata, outlast))
            return ChosenModels(image, (target,), (), decision)
        chosen = self._among(image, decision)
        if not chosen.targets:
            [absent, *others] = chosen.absent
            try:
                model = await self._select(_asking(image.metadata, absent.model), outlast)
            except UnknownModelError as error:  # the operator's fault, and no sender's
                raise absent.error from error
            target = Target(model, absent.mode)
            return ChosenModels(image, (target,), tuple(others), decision)
        return chosen

    async def _select(self, metadata: StudyMetadata, outlast: Deadline | None) -> ServedModel:
        try:
            return self._models.select(metadata)
        except InferenceUnavailableError as error:
            if outlast is None:
                raise
            await self._models.outlast_loss(metadata, error, outlast)
        return self._models.select(metadata)

    def _among(self, image: StudyImage, decision: Decision) -> ChosenModels:
        """Return the models of a decision, those whose contracts do not take the image left out."""
        metadata = image.metadata
        targets: dict[ModelVersion, Target] = {}
        absent: list[AbsentModel] = []
        unfit: list[ServedModel] = []
        faults: list[InvalidMetadataError] = []
        for named in decision.models:
            reference = ModelReference(name=named.name, version=named.version)
            try:
                model = self._models.select(_asking(metadata, reference))
            except (InferenceUnavailableError, UnknownModelError):
                error = InferenceUnavailableError(f"model {reference} is not ready")
                absent.append(AbsentModel(reference, named.mode, error))
            except InvalidMetadataError as error:
                faults.append(error)
            else:
                if model.accepts(metadata):
                    targets.setdefault(model.reference, Target(model, named.mode))
                else:
                    unfit.append(model)
        if not targets and not absent:
            raise faults[0] if faults else not_accepted(metadata, unfit)
        return ChosenModels(image, tuple(targets.values()), tuple(absent), decision)

    async def decide(self, study: Study, image: StudyImage) -> Decision:
        """Return what follows of the rules for an image.

        Raises
        ------
        KeptOutError, NoRuleError
            No model reads it.
        """
        routes = self._routing.routes
        decision = routes.rules.decide(await facts_of(study, image, routes, self._imaging))
        outcome = decision.outcome
        self._metrics.images.labels(outcome).inc()
        for name in decision.rules:
            self._metrics.rules.labels(name).inc()
        is_unruled = outcome is Outcome.NO_RULE and image.metadata.model is None
        if outcome is not Outcome.KEPT_OUT and not is_unruled:
            return decision
        log.info("routing.refused", outcome=outcome, rules=decision.rules, route=study.route)
        note_unrouted(outcome)
        raise KeptOutError(decision.rules) if outcome is Outcome.KEPT_OUT else NoRuleError


def _asking(metadata: StudyMetadata, model: ModelReference) -> StudyMetadata:
    """Return the metadata as those of a sender that asks for a model."""
    return metadata.model_copy(update={"model": model})
