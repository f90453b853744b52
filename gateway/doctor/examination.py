"""The examination of a whole installation, in a fixed order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.doctor.certificates import certificate_findings
from gateway.doctor.clocks import Clocks
from gateway.doctor.destinations import DestinationCheck
from gateway.doctor.findings import Check, Finding, Outcome, Side
from gateway.doctor.identity_provider import issuer_finding
from gateway.doctor.inference_server import triton_findings
from gateway.doctor.listeners import dicom_finding, http_finding
from gateway.doctor.machine import machine_findings
from gateway.doctor.object_store import kept_objects, store_findings
from gateway.doctor.telemetry_sink import telemetry_findings
from gateway.errors import StoreUnavailableError
from gateway.routing.document import RoutingFileError, judged
from gateway.routing.sources import place_of, source_of
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from gateway.schemas.routing import RoutingDocument
    from gateway.settings import Settings

_FILE = f"{PREFIX}ROUTING{DELIMITER}FILE"


async def examine(
    settings: Settings, url: str | None, *, stores: bool = False
) -> AsyncIterator[Finding]:
    """Yield what each part is like. Parts are looked at beside one another.

    Parameters
    ----------
    settings
        Of the gateway.
    url
        Address of the running gateway; None where it is not asked for.
    stores
        True to send a test patient to destinations, and an empty record to the stream.
    """
    clocks = Clocks()
    document, routing = await _routing(settings)
    parts = (
        _collected(_machine(settings, document)),
        _listeners(settings, url, document, clocks),
        _destinations(settings, document, clocks, stores=stores),
        _collected(store_findings(settings.store)),
        _collected(triton_findings(settings.triton, clocks)),
        _collected(telemetry_findings(settings.telemetry, sends=stores)),
        _identity(settings, clocks),
    )
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        yield routing
        for task in tasks:
            for finding in await task:
                yield finding
        for finding in clocks.findings():
            yield finding
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _routing(settings: Settings) -> tuple[RoutingDocument | None, Finding]:
    place = place_of(settings.routing) or _FILE
    try:
        document = await _document(settings)
    except RoutingFileError as error:
        detail, change = f"it is no routing document: {error}", f"{place}: {error}"
        return None, Finding(Check.ROUTING, place, Outcome.FAULT, detail, Side.GATEWAY, change)
    except StoreUnavailableError as error:
        detail, change = f"the store does not answer: {error.reason}", "as for the store below"
        return None, Finding(Check.ROUTING, place, Outcome.FAULT, detail, Side.EITHER, change)
    if document is None:
        detail = "there is none: no senders, rules or destinations"
        return None, Finding(Check.ROUTING, place, Outcome.SKIPPED, detail)
    detail = (
        f"senders: {len(document.senders)}, rules: {len(document.rules)}, "
        f"destinations: {len(document.destinations)}"
    )
    return document, Finding(Check.ROUTING, place, Outcome.OK, detail)


async def _document(settings: Settings) -> RoutingDocument | None:
    async with kept_objects(settings.store) as objects:
        source = source_of(settings.routing, objects)
        return None if source is None else judged(await source.read(), settings.tenancy.tenants)


async def _collected(findings: AsyncIterator[Finding]) -> Sequence[Finding]:
    return [finding async for finding in findings]


async def _machine(settings: Settings, document: RoutingDocument | None) -> AsyncIterator[Finding]:
    for finding in await asyncio.to_thread(lambda: [*machine_findings(settings)]):
        yield finding
    for finding in await asyncio.to_thread(lambda: [*certificate_findings(settings, document)]):
        yield finding


async def _listeners(
    settings: Settings, url: str | None, document: RoutingDocument | None, clocks: Clocks
) -> Sequence[Finding]:
    dicom = dicom_finding(settings.dimse, document)
    if url is None:
        return [await dicom]
    return await asyncio.gather(http_finding(url, clocks), dicom)


async def _destinations(
    settings: Settings, document: RoutingDocument | None, clocks: Clocks, *, stores: bool
) -> Sequence[Finding]:
    place = place_of(settings.routing)
    if document is None or place is None:
        return []
    check = DestinationCheck(place, settings.dimse, clocks, stores=stores)
    return await asyncio.gather(
        *(check.finding(number, each) for number, each in enumerate(document.destinations))
    )


async def _identity(settings: Settings, clocks: Clocks) -> Sequence[Finding]:
    finding = await issuer_finding(settings.access, clocks)
    return [] if finding is None else [finding]
