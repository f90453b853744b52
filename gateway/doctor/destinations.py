"""The destinations of results: each is reached as a delivery would reach it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from pydicom.uid import UID

from gateway.delivery.access_tokens import AccessTokens
from gateway.delivery.client_tls import context_to
from gateway.delivery.dicom_store import DicomTransport
from gateway.delivery.stow import StowTransport
from gateway.delivery.webhook import WebhookTransport
from gateway.doctor.character_sets import dicom_reader, web_reader
from gateway.doctor.dicom_peers import DicomPeer, associate, echo
from gateway.doctor.findings import Check, FaultError, Finding, Outcome, Side
from gateway.doctor.handshake import Address, connect, shake_hands
from gateway.doctor.trial_object import store_and_find
from gateway.doctor.web_peers import address_of, check_allowed, get
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.runtime.deadline import Deadline
from gateway.schemas.report_class import ReportClass
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_destinations import (
    DicomDestination,
    FhirDestination,
    Hl7Destination,
    StowDestination,
    WebhookDestination,
)

if TYPE_CHECKING:
    import ssl

    from gateway.doctor.clocks import Clocks
    from gateway.schemas.routing_destinations import Destination
    from gateway.settings import DimseSettings

_OK = 200
_TIMEOUT_S = 10.0
_RELEASES = {"R4": "4.0", "R5": "5.0"}
_NOT_SENT = "; no test patient is sent there"


@dataclass(frozen=True, slots=True)
class DestinationCheck:
    """The check of all destinations of one routing document.

    Parameters
    ----------
    place
        Path or key of the document, as lines to change are named by it.
    listener
        Has what DICOM destinations leave unset.
    clocks
        Takes the clocks of HTTP peers.
    stores
        True to store a test patient in DICOM and STOW destinations, and to find it again.
    """

    place: str
    listener: DimseSettings
    clocks: Clocks
    stores: bool

    async def finding(self, number: int, destination: Destination) -> Finding:
        """Return what a destination is like.

        Parameters
        ----------
        number
            Its place in the document, from 0.
        """
        line = f"{self.place}: /destinations/{number}"
        try:
            detail = await self._detail(line, destination)
        except FaultError as error:
            return error.of(Check.DESTINATION, destination.name)
        except DeliveryUnansweredError as error:
            change = f"{line}: the files of its TLS or credentials"
            fault = FaultError(error.reason, Side.GATEWAY, change)
            return fault.of(Check.DESTINATION, destination.name)
        return Finding(Check.DESTINATION, destination.name, Outcome.OK, detail)

    async def _detail(self, line: str, destination: Destination) -> str:
        context = await asyncio.to_thread(context_to, destination, self.listener)
        match destination:
            case DicomDestination():
                return await self._dicom(line, destination, context)
            case StowDestination():
                return await self._stow(line, destination, context)
            case FhirDestination():
                return await self._fhir(line, destination, context)
            case Hl7Destination():
                return await self._hl7(line, destination, context)
            case WebhookDestination():
                return await self._webhook(line, destination, context)

    async def _dicom(self, line: str, to: DicomDestination, context: ssl.SSLContext | None) -> str:
        address = Address(to.host, to.port, f"{line}/host and port", _authorities(line))
        transport = DicomTransport(to, self.listener, at_once=1)
        try:
            await (connect(address) if context is None else shake_hands(address, context))
            calling = to.calling_ae_title or self.listener.ae_title
            peer = DicomPeer(address, to.ae_title, calling, f"{line}/ae_title", context)
            await asyncio.to_thread(echo, peer)
            if RenderingKind.STRUCTURED_REPORT in to.renderings:
                await asyncio.to_thread(_check_class, peer, to.report_class, line)
            if not self.stores:
                return "C-ECHO answered"
            found = await store_and_find(transport, to.name, to.ae_title, dicom_reader(peer))
            return f"C-ECHO answered, C-STORE of a test patient {found}"
        finally:
            transport.close()

    async def _stow(self, line: str, to: StowDestination, context: ssl.SSLContext | None) -> str:
        address = address_of(to.url, f"{line}/url", _authorities(line))
        transport = StowTransport(to)
        _, headers = await asyncio.to_thread(transport.opening)
        url = f"{to.url.rstrip('/')}/studies?limit=1"
        accept = {"Accept": "application/dicom+json"}
        answer = await get(url, address, self.clocks, context=context, headers=accept | headers)
        check_allowed(answer, f"{line}/bearer_file or basic")
        if answer.status in {404, 405, 501} and not self.stores:
            raise FaultError(
                f"it answers a search for studies (QIDO-RS) with {answer.status}",
                Side.EITHER,
                f"{line}/url: the root of its DICOMweb service; or ask again with --store",
                Outcome.WARNING,
            )
        if not self.stores:
            return f"DICOMweb answers {answer.status}"
        read = web_reader(
            to.url.rstrip("/"), address, self.clocks, context=context, headers=accept | headers
        )
        found = await store_and_find(transport, to.name, to.url, read)
        return f"STOW-RS of a test patient {found}"

    async def _fhir(self, line: str, to: FhirDestination, context: ssl.SSLContext | None) -> str:
        address = address_of(to.url, f"{line}/url", _authorities(line))
        headers = {"Accept": "application/fhir+json"}
        if to.client_credentials is not None:
            headers["Authorization"] = f"Bearer {await _token(line, to, context)}"
        answer = await get(
            f"{to.url.rstrip('/')}/metadata", address, self.clocks, context=context, headers=headers
        )
        check_allowed(answer, f"{line}/client_credentials")
        version = _fhir_version(answer.body) if answer.status == _OK else None
        if version is None:
            raise FaultError(
                f"its /metadata answers {answer.status}, and is no capability statement of FHIR",
                Side.GATEWAY,
                f"{line}/url: the base URL of the FHIR server",
            )
        if not version.startswith(_RELEASES[to.release]):
            raise FaultError(
                f"it speaks FHIR {version}, and results are sent to it as {to.release}",
                Side.GATEWAY,
                f"{line}/release: the one of FHIR {version}",
            )
        return f"FHIR {version}, {to.release}{_NOT_SENT if self.stores else ''}"

    async def _hl7(self, line: str, to: Hl7Destination, context: ssl.SSLContext | None) -> str:
        address = Address(to.host, to.port, f"{line}/host and port", _authorities(line))
        await (connect(address) if context is None else shake_hands(address, context))
        return f"MLLP takes connections{_NOT_SENT if self.stores else ''}"

    async def _webhook(
        self, line: str, to: WebhookDestination, context: ssl.SSLContext | None
    ) -> str:
        address = address_of(to.url, f"{line}/url", _authorities(line))
        await (connect(address) if context is None else shake_hands(address, context))
        try:
            found = await WebhookTransport(to).check(Deadline.after(_TIMEOUT_S))
        except DeliveryRefusedError as error:
            change = f"{line}/url, or {line}/secret_file, which the receiver shares"
            raise FaultError(error.reason, Side.EITHER, change) from error
        return f"{found}{_NOT_SENT if self.stores else ''}"


def _check_class(peer: DicomPeer, report_class: ReportClass, line: str) -> None:
    """Raise a fault where an archive does not take the class of the reports. Blocks."""
    sop_class = UID(report_class.sop_class_uid)
    association = associate(peer, sop_class)
    if association.is_established:
        association.release()
    elif association.rejected_contexts:
        raise FaultError(
            f"it takes no {sop_class.name} ({sop_class}), in which reports are sent to it",
            Side.EITHER,
            f"{line}/report_class: {' or '.join(ReportClass)}, as it takes; or allow the class on "
            f"{peer.ae_title}",
        )


def _authorities(line: str) -> str:
    return f"the file of {line}/tls/authorities"


async def _token(line: str, to: FhirDestination, context: ssl.SSLContext | None) -> str:
    assert to.client_credentials is not None  # noqa: S101 - the caller has looked
    connector = aiohttp.TCPConnector(ssl=True if context is None else context)
    try:
        async with asyncio.timeout(10.0), aiohttp.ClientSession(connector=connector) as session:
            return await AccessTokens(to.client_credentials).token(session)
    except (aiohttp.ClientError, OSError) as error:
        reason = f"no answer ({type(error).__name__})"
    except DeliveryUnansweredError as error:
        reason = error.reason
    raise FaultError(f"no access token for it: {reason}", Side.EITHER, f"{line}/client_credentials")


def _fhir_version(body: bytes) -> str | None:
    try:
        statement: Any = json.loads(body)
    except ValueError:
        return None
    version = statement.get("fhirVersion") if isinstance(statement, dict) else None
    return version if isinstance(version, str) else None
