"""Deliveries of complete studies on a store in memory, as gateways put them together."""

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from pydicom.dataset import Dataset

from gateway.audit.trail import Audit
from gateway.delivery.disclosures import Disclosures
from gateway.delivery.late_reports import LateReports
from gateway.delivery.lines import DestinationLines
from gateway.delivery.outbox import Outbox
from gateway.delivery.renderers import Renderer, Renderers, dicom_rendering
from gateway.delivery.storage_commitment import Commitments
from gateway.delivery.transport import Rendering
from gateway.delivery.transports import Transports
from gateway.delivery.withdrawal_renderers import with_withdrawals
from gateway.delivery.withdrawals import Withdrawals
from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.problems import problem_of
from gateway.renderings.revisions import present
from gateway.renderings.source_header import source_header
from gateway.renderings.structured_report import structured_report
from gateway.renderings.withdrawn_results import WithdrawnResults
from gateway.results.asked_commitments import AskedCommitments
from gateway.results.deletion import Deletion
from gateway.results.documents import Completion, DeliveryItem, StudyRecord
from gateway.results.links import Links
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.results.tombstones import Tombstones
from gateway.routing.in_force import Routing
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing import RoutingDocument
from gateway.schemas.routing_destinations import Destination
from gateway.settings import (
    CompletionSettings,
    DeliverySettings,
    DimseSettings,
    RoutingSettings,
    Settings,
)
from gateway.studies.imaging import Imaging
from gateway.work.claims import Claims
from gateway.work.keys import WorkId
from gateway.work.parked import Parking
from preprocess import Limits
from tests.support.deletion import deletion_on
from tests.support.delivery_archives import TITLE
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import brisk, settings_for
from tests.support.readings import reading
from tests.support.store import MemoryStore

STUDY_UID = "1.2.3"
SR = RenderingKind.STRUCTURED_REPORT
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def routing(*destinations: dict[str, Any]) -> RoutingDocument:
    """A routing document of these destinations."""
    return RoutingDocument.model_validate(
        {"schema": "radstream.routing/1", "destinations": list(destinations)}
    )


def dicom(name: str, port: int, **changes: Any) -> dict[str, Any]:
    """An archive on a port of loopback, for structured reports."""
    return {
        "name": name,
        "kind": "dicom",
        "ae_title": TITLE,
        "host": "127.0.0.1",
        "port": port,
        "renderings": ["structured-report"],
    } | changes


def web(name: str, url: str) -> dict[str, Any]:
    """An archive on the web, for structured reports."""
    return {"name": name, "kind": "stow", "url": url, "renderings": ["structured-report"]}


def report(study_id: str, revision: str = "") -> bytes:
    """The structured report of a study, whose revision makes it another one."""
    item = reading(study_id=study_id, model={"name": "cxr", "version": revision or "1"})
    header = source_header(radiograph(StudyInstanceUID=STUDY_UID, SOPInstanceUID="1.2.3.4"))
    assert header is not None
    state = present(StudyRecord.begun(study_id), STUDY_UID, [item])
    return structured_report([item], {item.sha256: header}, state)


@dataclass
class Sink:
    """Takes the records of the audit trail."""

    lines: list[bytes] = field(default_factory=list)

    async def append(self, data: bytes) -> None:
        self.lines += data.splitlines()


@dataclass
class Peer:
    """A destination that does what the test says.

    Attributes
    ----------
    errors
        Raised in turn by what is sent.
    held
        Answers to the question whether it holds what was sent, in turn; then None.
    gate
        Waited for before what was sent is acknowledged.
    """

    errors: list[Exception] = field(default_factory=list)
    held: list[bool | Exception | None] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    asked: int = 0
    gate: asyncio.Event | None = None

    async def send(self, rendering: Rendering, deadline: Deadline) -> None:
        del deadline
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(rendering.uid)
        if self.gate is not None:
            await self.gate.wait()

    async def is_held(self, rendering: Rendering, deadline: Deadline) -> bool | None:
        del rendering, deadline
        self.asked += 1
        answer = self.held.pop(0) if self.held else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class All:
    """All destinations, for each study."""

    routing: Routing

    @property
    def are_any(self) -> bool:
        return bool(self.routing.document.destinations)

    async def of(self, record: StudyRecord) -> Sequence[Destination]:
        del record
        return self.routing.document.destinations

    def named(self, name: str) -> Sequence[Destination]:
        return [each for each in self.routing.document.destinations if each.name == name]


class Ways(Transports):
    """The ways to peers by name; to all others they are real."""

    def __init__(
        self, routing: Routing, peers: Mapping[str, Peer], commitments: Commitments
    ) -> None:
        super().__init__(routing, DimseSettings(), commitments)
        self._peers = peers

    def _new(self, destination: Destination) -> Any:
        peer = self._peers.get(destination.name)
        return super()._new(destination) if peer is None else peer


class Gateway:
    """One gateway's outbox, and the lines to its destinations."""

    def __init__(
        self,
        objects: MemoryStore,
        document: RoutingDocument,
        peers: Mapping[str, Peer] | None = None,
        **changes: Any,
    ) -> None:
        self.objects = objects
        self.documents = StudyDocuments(objects)
        self.parking = Parking(objects, problem_of)
        self.metrics = Metrics(CollectorRegistry())
        self.routing = Routing(document)
        self.asked = AskedCommitments(objects)
        self.commitments = Commitments(asked=self.asked)
        self.transports = Ways(self.routing, peers or {}, self.commitments)
        self.sink = Sink()
        self.kinds = changes.pop("kinds", (SR,))
        self.render: Callable[[str, str], bytes] = changes.pop("render", report)
        of_studies: Renderers = changes.pop("renderers", dict.fromkeys(self.kinds, self._rendered))
        made: dict[RenderingKind, Renderer] = {}
        self.lines = DestinationLines(
            objects,
            self.documents,
            self.parking,
            routing=self.routing,
            transports=self.transports,
            renderers=made,
            disclosures=Disclosures(
                Audit(self.sink, self.metrics, instance="test"), Pseudonyms("key")
            ),
            settings=DeliverySettings(**{"timeout_s": 10.0} | changes),
            sweep_s=0.02,
            claims=Claims(lease_s=30.0),
            problem_of=problem_of,
            metrics=self.metrics,
        )
        self.late = LateReports(self.asked, self.documents, self.lines, sweep_s=0.02)
        self.results = ResultStore(objects, self.documents)
        self.withdrawals = Withdrawals(
            objects,
            self.documents,
            self.results,
            tombstones=Tombstones(objects),
            lines=self.lines,
        )
        self.imaging = Imaging(threads=1, limits=Limits(), metrics=self.metrics)
        withdrawn = WithdrawnResults(self.imaging)
        made |= with_withdrawals(of_studies, self.withdrawals, withdrawn, Links())
        self.outbox = Outbox(
            self.documents,
            All(self.routing),
            self.lines,
            withdrawals=self.withdrawals,
            kinds=made.keys(),
        )

    def deletion(self, closed_s: float = 40.0) -> Deletion:
        """Deletion by this gateway, which withdraws what was brought."""
        deletion = deletion_on(self.objects, closed_s=closed_s)
        deletion.follow(self.withdrawals)
        return deletion

    async def _rendered(self, study_id: str, destination: Destination) -> AsyncGenerator[Rendering]:
        del destination
        record = await self.record(study_id)
        revision = "" if record.completion is None else record.completion.work
        data = self.render(study_id, revision[-12:])
        if data:
            yield dicom_rendering(SR, data)

    async def complete(self, study_id: str = "S1", **news: Any) -> StudyRecord:
        """Have a study completed, once more where it was; nothing is promised yet."""

        def change(record: StudyRecord | None) -> StudyRecord:
            record = record or StudyRecord.begun(study_id)
            before = record.completion
            completion = Completion(
                work=WorkId.new(study_id, dt.datetime.now(dt.UTC)).id,
                last_instance_at=NOW,
                completed_at=dt.datetime.now(dt.UTC),
                reopened=0 if before is None else before.reopened + 1,
            )
            return record.changed(
                images=1, identity={"patient_id": "P-7"}, completion=completion, **news
            )

        return await self.documents.change(study_id, change)

    async def record(self, study_id: str = "S1") -> StudyRecord:
        record = (await self.documents.read(study_id)).open_record()
        assert record is not None
        return record

    async def items(self, study_id: str = "S1") -> list[DeliveryItem]:
        return [*(await self.record(study_id)).deliveries]

    async def states(self, study_id: str = "S1") -> dict[str, str]:
        """States of a study's items by destination; the last of each counts."""
        return {item.destination: str(item.state) for item in await self.items(study_id)}

    def attempts(self, destination: str, outcome: str) -> float:
        return self.metrics.delivery.attempts.labels(destination, outcome)._value.get()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver until the block ends."""
        parts = (self.lines, self.outbox, self.late)
        tasks = [asyncio.create_task(part.run()) for part in parts]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task
            self.transports.close()


def delivering(triton_url: str, folder: Path, *destinations: dict[str, Any]) -> Settings:
    """Settings of a gateway with destinations, whose studies are complete after a second."""
    path = folder / "routing.json"
    path.write_text(routing(*destinations).model_dump_json(by_alias=True, exclude_unset=True))
    return brisk(
        settings_for(triton_url, folder / "store"),
        completion=CompletionSettings(quiet_s=1.0),
        routing=RoutingSettings(file=path),
    )


async def stow(client: httpx.AsyncClient, *instances: Dataset) -> None:
    """Store instances by STOW-RS."""
    parts = [
        b"--x\r\nContent-Type: application/dicom\r\n\r\n" + file_of(each) for each in instances
    ]
    answer = await client.post(
        "/dicomweb/studies",
        content=b"\r\n".join(parts) + b"\r\n--x--\r\n",
        headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'},
    )
    assert answer.status_code in {200, 202}, answer.text


async def deliveries(client: httpx.AsyncClient, study_id: str) -> list[dict[str, Any]]:
    """Items of a study's result; none while it is not there."""
    answer = await client.get(f"/v1/studies/{study_id}")
    return answer.json().get("deliveries", []) if answer.is_success else []


async def all_in(client: httpx.AsyncClient, study_id: str, *states: str) -> bool:
    """True once a study has deliveries and all are in these states."""
    found = await deliveries(client, study_id)
    return bool(found) and {item["state"] for item in found} <= set(states)
