"""Acceptance of model versions over HTTP."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Request

from gateway import errors
from gateway.acceptance.signature import SignatureKeyError, is_valid
from gateway.access.callers import Caller, Scope
from gateway.errors import Fault, InvalidAcceptanceError
from gateway.http.dependencies import GatewayDependency, Reach
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.http.requests.body import read_body
from gateway.http.requests.preferences import REQUEST_TIMEOUT, deadline_of, share_of
from gateway.models.acceptances import Acceptance
from gateway.monitoring.signals import LEAST_READINGS
from gateway.schemas.acceptance import AcceptanceReport, AcceptanceRequest, parse_acceptance
from gateway.schemas.audit import AuditChange
from gateway.schemas.patterns import MODEL_PATTERN, VERSION_PATTERN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path as KeyFile

    from gateway.models.registry import ModelRegistry
    from gateway.models.served_model import ServedModel
    from gateway.monitoring.documents import AcceptanceRun
    from gateway.monitoring.silences import Silences

router = APIRouter(prefix="/v1/models", tags=["models"])

# Pages name studies: this is a hundred thousand of them.
_BODY_BYTES = 8 * 2**20

_ACCEPTANCE: dict[str, Any] = {
    "parameters": [REQUEST_TIMEOUT],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/AcceptanceRequest"}}
        },
    },
}


@router.post(
    "/{name}/versions/{version}/acceptance",
    summary="Accept a model version",
    response_model_exclude_none=True,
    responses=documented(
        errors.BodyTooLargeError,
        errors.ContentCodingError,
        errors.InvalidAcceptanceError,
        errors.InvalidQueryError,
        errors.UnknownModelError,
        errors.OverloadedError,
        errors.RequestTooSlowError,
        errors.StoreError,
        errors.DeadlineExceededError,
    ),
    openapi_extra=_ACCEPTANCE,
)
async def accept_version(
    name: Annotated[str, Path(pattern=MODEL_PATTERN, description="The model's name.")],
    version: Annotated[str, Path(pattern=VERSION_PATTERN, description="Its version.")],
    request: Request,
    gateway: GatewayDependency,
    caller: Annotated[Caller, Depends(require(Scope.OPERATE, Reach.ALL))],
) -> AcceptanceReport:
    """Store the acceptance page of a model version, which a named person accepts.

    It holds for the contract that the page was made of. Where acceptance is required, the version
    serves from now on, at other gateways on the same store within `RADSTREAM_TRITON__REFRESH_S`.
    With `is_reference` the readings of its run become the version's reference as well.
    """
    http = gateway.settings.http
    with gateway.admission.slot(share_of(caller, request)) as slot:
        deadline = deadline_of(request, http.request_timeout_s)
        body = await read_body(request, _BODY_BYTES, slot=slot, deadline=deadline, pace=http)
    sent = parse_acceptance(body)
    model = _served(gateway.models, name, version)
    key_file = gateway.settings.acceptance.key_file
    run = await _run(gateway.silences, sent, name, version) if sent.is_reference else None
    faults = [*_faults(sent, model), *_signature_faults(sent, key_file), *_run_faults(sent, run)]
    if faults:
        raise InvalidAcceptanceError(tuple(faults))
    acceptance = Acceptance(
        name=name,
        version=version,
        contract_sha256=model.contract.sha256,
        accepted_by=sent.accepted_by,
        accepted_at=dt.datetime.now(dt.UTC),
        caller=caller.name,
        page=sent.page,
        signature=None if sent.signature is None else base64.b64encode(sent.signature),
    )
    await gateway.acceptances.add(acceptance)
    request.state.act.document = hashlib.sha256(sent.page.encode()).hexdigest()
    changes = {"accepted_by": sent.accepted_by}
    if run is not None:
        await gateway.silences.refer(name, version, run)
        changes["reference"] = f"acceptance run {run.run}"
    request.state.act.changes = tuple(
        AuditChange(pointer=f"/models/{name}/{version}/{field}", after=after)
        for field, after in changes.items()
    )
    return AcceptanceReport(
        name=name,
        version=version,
        contract_sha256=acceptance.contract_sha256,
        accepted_by=acceptance.accepted_by,
        accepted_at=acceptance.accepted_at,
        is_signature_checked=key_file is not None,
        reference_readings=None if run is None else run.counts.readings,
    )


def _served(models: ModelRegistry, name: str, version: str) -> ServedModel:
    served = {
        (state.name, state.version): state.served
        for state in models.states()
        if state.served is not None
    }
    model = served.get((name, version))
    if model is None:
        known = tuple(f"{each[0]}:{each[1]}" for each in sorted(served))
        raise errors.UnknownModelError(f"{name}:{version}", known)
    return model


async def _run(
    silences: Silences, sent: AcceptanceRequest, name: str, version: str
) -> AcceptanceRun | None:
    """Return the run of the page as the store has counted it; None where it has nothing of it."""
    await silences.refresh()
    health = silences.known(name, version)
    return None if health is None else health.acceptance(sent.document().run)


def _run_faults(sent: AcceptanceRequest, run: AcceptanceRun | None) -> Iterator[Fault]:
    n = 0 if run is None else run.counts.readings
    if sent.is_reference and n < LEAST_READINGS:
        detail = (
            f"needs {LEAST_READINGS} readings of the run in this gateway's store, which has {n}: "
            "those of the last minutes are still to come"
        )
        yield Fault("/is_reference", detail)


def _faults(sent: AcceptanceRequest, model: ServedModel) -> Iterator[Fault]:
    about = sent.document().accepted
    if (about.name, about.version) != (model.name, model.version):
        yield Fault("/page", "is about another model version")
    elif about.contract_sha256 != model.contract.sha256:
        yield Fault("/page", "is about another contract than the one that is served")


def _signature_faults(sent: AcceptanceRequest, key_file: KeyFile | None) -> Iterator[Fault]:
    if key_file is None:
        return
    try:
        valid = is_valid(sent.page.encode(), sent.signature or b"", key_file)
    except SignatureKeyError:
        yield Fault("/signature", "cannot be checked: the gateway cannot read its key")
        return
    if not valid:
        yield Fault("/signature", "is not that of the page by the gateway's key")
