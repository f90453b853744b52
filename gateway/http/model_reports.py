"""Reports on model versions, as the interface and the console show them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gateway import __version__
from gateway.acceptance.signature import SignatureKeyError, is_valid
from gateway.errors import UnknownModelError
from gateway.monitoring.shadow_agreement import shadow_agreement
from gateway.routing.model_parts import model_parts
from gateway.schemas.acceptance import AcceptancePage, KeyFigures
from gateway.schemas.models import (
    AcceptedFigures,
    AcceptedVersion,
    ModelDetails,
    ModelList,
    ModelReport,
    Program,
    SignatureState,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gateway.http.dependencies import Gateway
    from gateway.models.acceptances import Acceptance


def model_reports(gateway: Gateway) -> tuple[ModelReport, ...]:
    """Return a report on every model version in Triton's repository."""
    states = gateway.models.states()
    parts = model_parts(gateway.routing.document, gateway.routing.rolled_back)
    newest: dict[str, str] = {}
    for state in states:
        newest[state.name] = max(newest.get(state.name, "0"), state.version, key=int)
    return tuple(
        ModelReport(
            name=state.name,
            version=state.version,
            state=state.state,
            reason=state.reason or None,
            contract=state.served.contract if state.served else None,
            is_accepted=gateway.acceptances.known(state.served) if state.served else None,
            is_silent=gateway.silences.is_known_silent(state.name, state.version),
            contract_sha256=state.served.contract.sha256 if state.served else None,
            parts=tuple(
                part
                for part in parts.get(state.name, ())
                if (part.version or newest[state.name]) == state.version
            ),
        )
        for state in states
    )


def model_list(gateway: Gateway, reports: Sequence[ModelReport]) -> ModelList:
    """Return reports with the program that makes them."""
    program = Program(version=__version__, sha256=gateway.program_sha256)
    return ModelList(gateway=program, models=tuple(reports))


async def model_details(gateway: Gateway, name: str, version: str) -> ModelDetails:
    """Return what is known of a model version.

    Raises
    ------
    UnknownModelError, StoreError
    """
    reports = {(each.name, each.version): each for each in model_reports(gateway)}
    report = reports.get((name, version))
    if report is None:
        known = tuple(f"{each[0]}:{each[1]}" for each in reports)
        raise UnknownModelError(f"{name}:{version}", known, "in the repository")
    served = next(
        state.served
        for state in gateway.models.states()
        if (state.name, state.version) == (name, version)
    )
    accepted = None if served is None else await gateway.acceptances.of(served)
    key_file = gateway.settings.acceptance.key_file
    return ModelDetails(
        **dict(report),
        # Parsed and checked off the event loop: a page may have megabytes.
        acceptance=accepted and await asyncio.to_thread(_accepted, accepted, key_file),
        # The metrics count the images of all tenants.
        agreement=()
        if gateway.tenant is not None
        else shadow_agreement(gateway.metrics.shadow, name, version),
    )


def _accepted(acceptance: Acceptance, key_file: Path | None) -> AcceptedVersion:
    try:
        figures = _figures(AcceptancePage.model_validate_json(acceptance.page))
    except ValidationError:
        figures = None
    return AcceptedVersion(
        accepted_by=acceptance.accepted_by,
        accepted_at=acceptance.accepted_at,
        caller=acceptance.caller,
        signature=_signature(acceptance, key_file),
        figures=figures,
    )


def _signature(acceptance: Acceptance, key_file: Path | None) -> SignatureState:
    if acceptance.signature is None:
        return SignatureState.NONE
    if key_file is None:
        return SignatureState.UNCHECKED
    try:
        valid = is_valid(acceptance.page.encode(), acceptance.signature, key_file)
    except SignatureKeyError:
        return SignatureState.UNCHECKED
    return SignatureState.VALID if valid else SignatureState.INVALID


def _figures(page: AcceptancePage) -> AcceptedFigures:
    accepted, *others = page.versions
    return AcceptedFigures(
        made_at=page.made_at,
        studies=page.studies,
        read=accepted.read,
        not_applicable=len(accepted.not_applicable),
        failed=len(accepted.failed),
        labels=tuple(
            KeyFigures(**{name: getattr(each, name) for name in KeyFigures.model_fields})
            for each in accepted.labels
        ),
        compared_with=next((f"{each.name} {each.version}" for each in others), None),
        differences=page.differences,
    )
