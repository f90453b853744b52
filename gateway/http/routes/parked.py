"""Parked items, for the operator to look at, retry or discard."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from gateway import errors
from gateway.access.callers import Scope
from gateway.http.dependencies import GatewayDependency
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.schemas.events import Delivery
from gateway.schemas.parked import ParkedList
from gateway.schemas.patterns import AFTER_PATTERN, PARKED_ID_PATTERN

router = APIRouter(
    prefix="/v1/parked", tags=["drop folder"], dependencies=[Depends(require(Scope.OPERATE))]
)

ParkedId = Annotated[str, Path(pattern=PARKED_ID_PATTERN, description="The item's id.")]


@router.get(
    "",
    summary="List parked items",
    response_model_exclude_none=True,
    responses=documented(errors.InvalidQueryError, errors.StoreError),
)
async def list_parked(
    gateway: GatewayDependency,
    after: Annotated[
        str, Query(pattern=AFTER_PATTERN, description="The last id seen, to go on after it.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=200, description="Items on a page.")] = 50,
) -> ParkedList:
    """Return a page of the items that failed for good, each with its problem, by id."""
    found = await gateway.parked.items(after=after, limit=limit)
    full = len(found) == limit
    following = f"/v1/parked?after={found[-1].id}&limit={limit}" if full else None
    return ParkedList(parked=tuple(found), next=gateway.links.path(following))


@router.post(
    "/{parked_id}/retry",
    summary="Try a parked item again",
    response_model_exclude_none=True,
    responses=documented(
        errors.ParkedItemNotFoundError,
        errors.InvalidQueryError,
        errors.DeliveryUnfinishedError,
        errors.InferenceUnavailableError,
        errors.InferenceOverloadedError,
        errors.QuotaExceededError,
        errors.StoreError,
        errors.UnreadableDocumentError,
    ),
)
async def retry_parked(parked_id: ParkedId, gateway: GatewayDependency) -> Delivery:
    """Try the item again: it is cleared once its study is processed, and else stays.

    A study that was accepted, or a callback, is `pending` again.
    """
    return gateway.links.delivery(await gateway.parked.retry(parked_id))


@router.delete(
    "/{parked_id}",
    status_code=204,
    summary="Discard a parked item",
    response_class=Response,
    responses=documented(
        errors.ParkedItemNotFoundError, errors.InvalidQueryError, errors.StoreError
    ),
)
async def discard_parked(parked_id: ParkedId, gateway: GatewayDependency) -> Response:
    """Forget the item, and the images that were kept for it; a file in the drop folder stays."""
    await gateway.parked.discard(parked_id)
    return Response(status_code=204)
