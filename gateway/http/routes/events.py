"""S3's events over HTTP, as EventBridge and the forwarder bring them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from gateway import errors
from gateway.access.callers import Caller, Scope
from gateway.http.dependencies import GatewayDependency, Reach
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.http.requests.body import read_body
from gateway.http.requests.preferences import REQUEST_TIMEOUT, deadline_of, share_of
from gateway.schemas.events import OBJECT_CREATED, Delivery, Outcome, parse_event

router = APIRouter(prefix="/v1/events", tags=["drop folder"])

_EVENT_BYTES = 256 * 2**10  # EventBridge's own limit for an entry

_EVENT: dict[str, Any] = {
    "parameters": [REQUEST_TIMEOUT],
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/S3Event"}}},
    },
}


@router.post(
    "/s3",
    summary="Process an S3 event",
    response_model_exclude_none=True,
    responses=documented(
        errors.BodyTooLargeError,
        errors.ContentCodingError,
        errors.InvalidEventError,
        errors.InvalidQueryError,
        errors.ForeignBucketError,
        errors.DeliveryUnfinishedError,
        errors.InferenceUnavailableError,
        errors.OverloadedError,
        errors.RequestTooSlowError,
        errors.StoreError,
    ),
    openapi_extra=_EVENT,
)
async def take_event(
    request: Request,
    gateway: GatewayDependency,
    caller: Annotated[Caller, Depends(require(Scope.EVENTS_WRITE, Reach.NO_STUDY))],
) -> Delivery:
    """Process an "Object Created" event of the images bucket, exactly as EventBridge sends it.

    The object is read from the bucket; the answer tells the outcome. 503 asks for the same event
    again. An object that fails for good is parked and answered with 200 and its problem, so that
    its event is not sent again. Events may come more than once and in any order.
    """
    http = gateway.settings.http
    with gateway.admission.slot(share_of(caller, request)) as slot:
        deadline = deadline_of(request, http.request_timeout_s)
        body = await read_body(request, _EVENT_BYTES, slot=slot, deadline=deadline, pace=http)
    event = parse_event(body)
    store = gateway.settings.store
    if store.kind != "s3" or event.detail.bucket.name != store.images_bucket:
        raise errors.ForeignBucketError
    if event.detail_type != OBJECT_CREATED:
        return Delivery(
            outcome=Outcome.IGNORED, detail=f"Only {OBJECT_CREATED!r} events are acted on."
        )
    # Not stopped when the caller goes away: it comes again, and is glad of a stored result.
    dropped = event.detail.object
    delivery = await gateway.deliveries.deliver(
        dropped.key, dropped.version_id, deadline, tag=dropped.etag
    )
    return gateway.links.delivery(delivery)
