"""A live DICOM listener, and peers of it: dcmtk's commands and pynetdicom's client."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dsutils import encode

from gateway.settings import DimseSettings, RoutingSettings, Settings
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import LiveGateway, running_gateway, settings_for
from tests.support.tools import tool

TITLE = "RADSTREAM"


@dataclass(frozen=True)
class LiveListener:
    """A gateway that listens for DICOM on a port of loopback."""

    gateway: LiveGateway
    port: int

    async def count(self, name: str, **labels: str) -> float:
        """Value of a metric of the listener."""
        return await self.gateway.metric(f"radstream_dimse_{name}", **labels)


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def dimse_settings(folder: Path, triton_url: str = "127.0.0.1:1", **dimse: Any) -> Settings:
    """Settings of a gateway that listens for DICOM; without a Triton nothing is processed.

    Parameters
    ----------
    dimse
        Settings of the listener, and `senders` as the routing document has them.
    """
    senders = dimse.pop("senders", None)
    settings = settings_for(triton_url, folder / "store")
    update: dict[str, Any] = {"dimse": DimseSettings(**{"port": free_port()} | dimse)}
    if senders is not None:
        update["routing"] = RoutingSettings(file=write_senders(folder, senders))
    return settings.model_copy(update=update)


def write_senders(folder: Path, senders: Sequence[dict[str, Any]]) -> Path:
    """Write the routing document of these senders, whole."""
    path, unfinished = folder / "routing.json", folder / "routing.json.new"
    unfinished.write_text(json.dumps({"schema": "radstream.routing/1", "senders": senders}))
    unfinished.replace(path)
    return path


@asynccontextmanager
async def running_listener(settings: Settings) -> AsyncIterator[LiveListener]:
    """A gateway that listens for DICOM as the settings say."""
    async with running_gateway(settings) as gateway:
        yield LiveListener(gateway, settings.dimse.port)


async def dcmtk(command: str, listener: LiveListener, *arguments: str) -> tuple[int, str]:
    """Exit code and output of one of dcmtk's clients, which calls the listener."""
    files = [argument for argument in arguments if argument.startswith("/")]
    options = [argument for argument in arguments if argument not in files]
    process = await asyncio.create_subprocess_exec(
        *(tool(command), "-v", "-aec", TITLE, *options),
        *("127.0.0.1", str(listener.port), *files),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


@contextmanager
def associated(
    port: int, *contexts: tuple[str, str], calling: str = "SCU"
) -> Iterator[Association]:
    """An association of pynetdicom's with the listener, of classes with a transfer syntax each."""
    entity = ApplicationEntity(calling)
    for sop_class, transfer_syntax in contexts:
        entity.add_requested_context(sop_class, transfer_syntax)
    association = entity.associate("127.0.0.1", port, ae_title=TITLE)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def secondary_capture() -> Dataset:
    """A chest radiograph as a Secondary Capture."""
    return radiograph(SOPClassUID=SecondaryCaptureImageStorage)


def encoded(dataset: Dataset) -> bytes:
    """The data set in Explicit VR Little Endian, as a C-STORE carries it."""
    data = encode(dataset, is_implicit_vr=False, is_little_endian=True)
    assert data is not None
    return data


def store(association: Association, dataset: Dataset) -> Dataset:
    """Return the response to a C-STORE of a data set in Explicit VR Little Endian."""
    return association.send_c_store(dcmread(BytesIO(file_of(dataset))))


async def accepted(listener: LiveListener, study_id: str) -> int:
    """Submissions of a study that are durable and not processed."""
    answer = await listener.gateway.client.get(f"/v1/studies/{study_id}")
    return len(answer.json().get("pending", ())) if answer.is_success else 0


async def no_association(listener: LiveListener) -> bool:
    return await listener.count("open_associations") == 0
