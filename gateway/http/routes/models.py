"""The models over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from gateway import errors
from gateway.access.callers import Scope
from gateway.http.dependencies import GatewayDependency, Reach
from gateway.http.model_reports import model_details, model_list, model_reports
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.schemas.models import ModelDetails, ModelList
from gateway.schemas.patterns import MODEL_PATTERN, VERSION_PATTERN

router = APIRouter(
    prefix="/v1/models",
    tags=["models"],
    dependencies=[Depends(require(Scope.STUDIES_READ, Reach.NO_STUDY))],
)


@router.get("", summary="List the models with their contracts", response_model_exclude_none=True)
async def list_models(gateway: GatewayDependency) -> ModelList:
    """Return every model version in Triton's repository: its contract, or why it is not used."""
    return model_list(gateway, model_reports(gateway))


@router.get(
    "/{name}/versions/{version}",
    summary="Show a model version with its acceptance",
    response_model_exclude_none=True,
    responses=documented(
        errors.InvalidQueryError,
        errors.UnknownModelError,
        errors.StoreError,
        errors.UnreadableDocumentError,
    ),
)
async def show_model(
    name: Annotated[str, Path(pattern=MODEL_PATTERN, description="The model's name.")],
    version: Annotated[str, Path(pattern=VERSION_PATTERN, description="Its version.")],
    gateway: GatewayDependency,
) -> ModelDetails:
    """Return a model version, the key figures of its acceptance and its agreement with others.

    The acceptance is that of the contract which the version has now. No study is named.
    """
    return await model_details(gateway, name, version)
