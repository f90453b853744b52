"""Acts of a person on models and the health of their versions, over HTTP."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from gateway import errors
from gateway.access.callers import Caller, Scope
from gateway.audit.trail import note_health_change
from gateway.http.dependencies import GatewayDependency, Reach
from gateway.http.model_reports import model_list, model_reports
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.monitoring.silences import Silences
from gateway.schemas.models import HealthAct, HealthChange, ModelList
from gateway.schemas.patterns import MODEL_PATTERN, VERSION_PATTERN

router = APIRouter(prefix="/v1/models", tags=["models"])

Name = Annotated[str, Path(pattern=MODEL_PATTERN, description="The model's name.")]
Version = Annotated[str, Path(pattern=VERSION_PATTERN, description="Its version.")]
By = Annotated[HealthAct, Query()]
Operator = Annotated[Caller, Depends(require(Scope.OPERATE, Reach.ALL))]

_act = partial(
    router.post,
    response_model_exclude_none=True,
    responses=documented(
        errors.UnknownModelError,
        errors.InvalidQueryError,
        errors.StoreError,
        errors.UnreadableDocumentError,
    ),
)


@router.post(
    "/{name}/load",
    summary="Load the versions that joined a model",
    response_model_exclude_none=True,
    responses=documented(
        errors.UnknownModelError, errors.InvalidQueryError, errors.ModelNotLoadedError
    ),
)
async def load_model(*, name: Name, gateway: GatewayDependency, _caller: Operator) -> ModelList:
    """Have this gateway's Triton read the model's folder anew, and return its versions.

    Versions that are served already answer meanwhile. A gateway with a Triton of its own, as each
    pod has one, is asked itself.
    """
    await gateway.models.load(name)
    return model_list(gateway, [each for each in model_reports(gateway) if each.name == name])


@_act("/{name}/versions/{version}/rearm", summary="Arm a silent model version again")
async def rearm_version(
    *,
    name: Name,
    version: Version,
    act: By,
    gateway: GatewayDependency,
    _caller: Operator,
) -> HealthChange:
    """Let a version be heard again that a stop rule had silenced, and begin its window anew.

    Its reference stays. At other gateways on the same store it is heard within
    `RADSTREAM_MONITORING__SWEEP_S`. What it found while it was silent stays withheld.
    """
    return await rearmed(gateway.silences, name, version, act)


@_act("/{name}/versions/{version}/reference", summary="Begin a model version's reference anew")
async def renew_reference(
    *,
    name: Name,
    version: Version,
    act: By,
    gateway: GatewayDependency,
    _caller: Operator,
) -> HealthChange:
    """Make the next readings of a version the reference that later ones are compared with.

    A silent version stays silent.
    """
    before = await gateway.silences.renew_reference(name, version)
    since = None if before.reference_since is None else before.reference_since.isoformat()
    note_health_change(
        f"/models/{name}/{version}/reference", before=since, after=act.by, reason=act.reason
    )
    return HealthChange(name=name, version=version, by=act.by)


async def rearmed(silences: Silences, name: str, version: str, act: HealthAct) -> HealthChange:
    """Arm a version again for a person, and note it for the audit trail; see `Silences.rearm`."""
    before = await silences.rearm(name, version)
    cause = None if before.silence is None else before.silence.cause
    note_health_change(
        f"/models/{name}/{version}/silence", before=cause, after=act.by, reason=act.reason
    )
    return HealthChange(name=name, version=version, by=act.by, cause=cause)
