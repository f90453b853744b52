"""Results of a study for destinations, brought again on demand."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from gateway import errors
from gateway.access.callers import Scope
from gateway.http.dependencies import GatewayDependency
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.results.deliveries import told
from gateway.schemas.patterns import DESTINATION_PATTERN, STUDY_ID_PATTERN
from gateway.schemas.result import RenderingKind, StudyDeliveries

router = APIRouter(
    prefix="/v1/studies", tags=["studies"], dependencies=[Depends(require(Scope.OPERATE))]
)


@router.post(
    "/{study_id}/deliveries",
    status_code=202,
    summary="Bring a study to its destinations again",
    response_model_exclude_none=True,
    responses=documented(
        errors.StudyNotFoundError,
        errors.StudyDeletedError,
        errors.InvalidQueryError,
        errors.StoreError,
        errors.UnreadableDocumentError,
    ),
)
async def resend_study(
    study_id: Annotated[str, Path(pattern=STUDY_ID_PATTERN, description="The study's study_id.")],
    gateway: GatewayDependency,
    destination: Annotated[
        str | None,
        Query(
            pattern=DESTINATION_PATTERN,
            description="Name of the only destination; without, all of the study's.",
        ),
    ] = None,
    rendering: Annotated[
        RenderingKind | None, Query(description="Only form of the results; without, all.")
    ] = None,
) -> StudyDeliveries:
    """Promise to bring the study's results once more, and return what is promised.

    What becomes of it is in `deliveries` of the study's result. An object that a destination has
    already comes under the same UID.
    """
    await gateway.catalog.result(study_id)
    items = await gateway.outbox.resend(study_id, destination=destination, rendering=rendering)
    return StudyDeliveries(deliveries=tuple(told(study_id, item) for item in items))
