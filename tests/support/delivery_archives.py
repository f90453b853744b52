"""Archives that take objects by C-STORE or STOW-RS and answer as a test tells them."""

import asyncio
import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from io import BytesIO
from typing import Any

from aiohttp import web
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
)
from pynetdicom import evt
from pynetdicom._globals import DEFAULT_TRANSFER_SYNTAXES
from pynetdicom.ae import ApplicationEntity
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from gateway.delivery.transport import Rendering
from gateway.schemas.result import RenderingKind
from tests.support.dicom import file_of, radiograph

TITLE = "ARCHIVE"
CLASSES = (
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
    DigitalXRayImageStorageForPresentation,
)


def rendering(**attributes: Any) -> Rendering:
    """An object of a class that the archives take."""
    dataset = radiograph(**attributes)
    return Rendering(
        RenderingKind.STRUCTURED_REPORT,
        str(dataset.SOPInstanceUID),
        "application/dicom",
        file_of(dataset),
    )


@dataclass
class Archive:
    """An archive that speaks DICOM.

    Attributes
    ----------
    statuses
        Of the answers to C-STORE, in turn, then success for ever.
    held
        Number of times that each object was stored, by SOP Instance UID.
    studies
        Study Instance UID and Modality of each object that was stored.
    calling
        Calling AE title of each association.
    loses
        True to answer with success and keep nothing.
    mangles
        True to answer with a question mark for each letter that is not of ASCII.
    silent
        Set so that no C-STORE is answered until the archive ends.
    """

    port: int
    statuses: list[int] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    studies: dict[str, tuple[str, str]] = field(default_factory=dict)
    calling: list[str] = field(default_factory=list)
    arrived: list[str] = field(default_factory=list)
    loses: bool = False
    mangles: bool = False
    descriptions: dict[str, str] = field(default_factory=dict)
    silent: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def store(self, event: evt.Event) -> int:
        """Answer a C-STORE."""
        uid = str(event.request.AffectedSOPInstanceUID)
        self.arrived.append(uid)
        if self.silent.is_set():
            self._over.wait(60)
        status = self.statuses.pop(0) if self.statuses else 0
        if status in {0, 0xB000, 0xB006, 0xB007} and not self.loses:
            self.held[uid] += 1
            self.studies[uid] = _kind_of(event.dataset)
            described = event.dataset.get("SeriesDescription", "")
            self.descriptions[event.dataset.SeriesInstanceUID] = str(described)
        return status

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        """Answer a C-FIND."""
        if event.identifier.QueryRetrieveLevel == "SERIES":
            text = self.descriptions[event.identifier.SeriesInstanceUID]
            match = Dataset()
            match.SpecificCharacterSet, match.QueryRetrieveLevel = "ISO_IR 192", "SERIES"
            mangled = text.encode("ascii", "replace").decode()
            match.SeriesDescription = mangled if self.mangles else text
            yield 0xFF00, match
            return
        uid = event.identifier.SOPInstanceUID
        if uid in self.held:
            match = Dataset()
            match.SOPInstanceUID, match.QueryRetrieveLevel = uid, "IMAGE"
            yield 0xFF00, match

    def requested(self, event: evt.Event) -> None:
        """Note who calls."""
        self.calling.append(event.assoc.requestor.primitive.calling_ae_title.strip())


@contextmanager
def archive(
    *,
    classes: Sequence[str] = CLASSES,
    syntaxes: Sequence[str] = DEFAULT_TRANSFER_SYNTAXES,
    finds: bool = False,
    callers: Sequence[str] = (),
    context: ssl.SSLContext | None = None,
    port: int = 0,
) -> Iterator[Archive]:
    """An archive on a free port of loopback.

    Parameters
    ----------
    classes, syntaxes
        SOP classes, and their transfer syntaxes, that it takes.
    finds
        True if it answers C-FIND.
    callers
        Calling AE titles that it takes; any without.
    """
    entity = ApplicationEntity(TITLE)
    entity.require_called_aet = True
    entity.require_calling_aet = list(callers)
    for sop_class in classes:
        entity.add_supported_context(sop_class, list(syntaxes))
    if finds:
        entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    found = Archive(port)
    handlers = [(evt.EVT_C_FIND, found.find), (evt.EVT_REQUESTED, found.requested)]
    with serving(entity, found, *handlers, context=context):
        yield found


@contextmanager
def serving(
    entity: ApplicationEntity,
    found: Archive,
    *handlers: Any,
    context: ssl.SSLContext | None = None,
) -> Iterator[None]:
    """Serve an archive on its port of loopback, or on a free one where it has none."""
    server = entity.start_server(
        ("127.0.0.1", found.port),
        block=False,
        ssl_context=context,
        evt_handlers=[(evt.EVT_C_STORE, found.store), *handlers],
    )
    found.port = server.server_address[1]
    try:
        yield
    finally:
        found._over.set()
        server.shutdown()


@contextmanager
def mute(backlog: int = 16) -> Iterator[int]:
    """Yield a port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        yield int(listener.getsockname()[1])


@dataclass
class WebArchive:
    """An archive that speaks DICOMweb.

    Attributes
    ----------
    answers
        Status, body and header fields of the answers to STOW-RS, in turn; then all is stored.
    searches
        Status of the answers to QIDO-RS; None searches.
    """

    url: str = ""
    answers: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    searches: int | None = None
    held: Counter[str] = field(default_factory=Counter)
    studies: dict[str, tuple[str, str]] = field(default_factory=dict)
    came: list[dict[str, str]] = field(default_factory=list)
    silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def store(self, request: web.Request) -> web.StreamResponse:
        """Answer STOW-RS."""
        self.came.append({name.lower(): value for name, value in request.headers.items()})
        head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
        [part] = message_from_bytes(head + await request.read()).get_payload()
        data = part.get_payload(decode=True)  # type: ignore[union-attr]
        dataset = dcmread(BytesIO(data))
        if self.silent.is_set():
            await asyncio.sleep(3600)
        if self.answers:
            status, body, headers = self.answers.pop(0)
            if body is None:
                return web.Response(status=status, headers=headers)
            return web.Response(
                status=status,
                headers=headers,
                body=json.dumps(body).encode(),
                content_type="application/dicom+json",
            )
        self.held[str(dataset.SOPInstanceUID)] += 1
        self.studies[str(dataset.SOPInstanceUID)] = _kind_of(dataset)
        return web.Response(
            body=json.dumps(stored(dataset.SOPInstanceUID)).encode(),
            content_type="application/dicom+json",
        )

    async def search(self, request: web.Request) -> web.StreamResponse:
        """Answer QIDO-RS, compressed for who takes that, as Orthanc does."""
        if self.searches is not None:
            return web.Response(status=self.searches)
        uid = request.query["SOPInstanceUID"]
        found = [{"00080018": {"vr": "UI", "Value": [uid]}}] if uid in self.held else []
        answer = web.Response(
            body=json.dumps(found).encode(), content_type="application/dicom+json"
        )
        answer.enable_compression()
        return answer

    async def list(self, request: web.Request) -> web.StreamResponse:
        """Answer QIDO-RS for studies, of which there are none."""
        del request
        return web.Response(status=self.searches or 204)


def _kind_of(dataset: Dataset) -> tuple[str, str]:
    return str(dataset.StudyInstanceUID), str(dataset.Modality)


def stored(uid: str, warning: int | None = None) -> dict[str, Any]:
    """The answer that an object is stored."""
    item = {"00081155": {"vr": "UI", "Value": [uid]}}
    if warning is not None:
        item["00081196"] = {"vr": "US", "Value": [warning]}
    return {"00081199": {"vr": "SQ", "Value": [item]}}


def failed(uid: str, reason: int) -> dict[str, Any]:
    """The answer that an object failed."""
    item: dict[str, Any] = {"00081155": {"vr": "UI", "Value": [uid]}}
    item["00081197"] = {"vr": "US", "Value": [reason]}
    return {"00081198": {"vr": "SQ", "Value": [item]}}


@asynccontextmanager
async def web_archive(
    context: ssl.SSLContext | None = None, port: int = 0
) -> AsyncIterator[WebArchive]:
    """An archive on a free port of localhost."""
    found = WebArchive()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/dicom-web/studies", found.store)
    app.router.add_get("/dicom-web/studies", found.list)
    app.router.add_get("/dicom-web/studies/{study}/series/{series}/instances", found.search)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    scheme = "http" if context is None else "https"
    found.url = f"{scheme}://localhost:{runner.addresses[0][1]}/dicom-web"
    try:
        yield found
    finally:
        await runner.cleanup()
