"""A real Orthanc with its DICOMweb plugin: a PACS that forwards what it holds."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.aws import free_port
from tests.support.gateway import client_of, until
from tests.support.tools import tool

_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@dataclass(frozen=True)
class Orthanc:
    """A PACS that knows a DICOMweb server, a DICOM application or both as ``radstream``."""

    client: httpx.AsyncClient
    process: asyncio.subprocess.Process

    async def instances(self, study_instance_uid: str, modality: str) -> int:
        """Number of the study's instances of a modality, by QIDO-RS."""
        answer = await self.client.get(
            f"/dicom-web/studies/{study_instance_uid}/instances", params={"Modality": modality}
        )
        return len(answer.json()) if answer.is_success else 0

    async def keep(self, instance: bytes) -> str:
        """Put an instance into the PACS; return its own name for it."""
        answer = await self.client.post("/instances", content=instance)
        assert answer.is_success, answer.text
        name: str = answer.json()["ID"]
        return name

    async def forward(self, *instances: str) -> dict[str, Any]:
        """Forward instances by STOW-RS; return the job once it has ended."""
        return await self._job("/dicom-web/servers/radstream/stow", instances)

    async def send(self, *instances: str) -> dict[str, Any]:
        """Send instances by C-STORE; return the job once it has ended."""
        return await self._job("/modalities/radstream/store", instances)

    async def ask_for_commitment(self, *instances: str) -> dict[str, Any]:
        """Ask for storage commitment; return the report once it has come."""
        answer = await self.client.post(
            "/modalities/radstream/storage-commitment", json={"Resources": list(instances)}
        )
        assert answer.is_success, answer.text
        path = answer.json()["Path"]

        async def has_come() -> bool:
            return (await self.client.get(path)).json()["Status"] != "Pending"

        await until(has_come)
        report: dict[str, Any] = (await self.client.get(path)).json()
        return report

    async def _job(self, task: str, instances: Sequence[str]) -> dict[str, Any]:
        order = {"Resources": list(instances), "Synchronous": False}
        answer = await self.client.post(task, json=order)
        assert answer.is_success, answer.text
        path = answer.json()["Path"]

        async def has_ended() -> bool:
            return (await self.client.get(path)).json()["State"] in {"Success", "Failure"}

        await until(has_ended)
        job: dict[str, Any] = (await self.client.get(path)).json()
        return job


@asynccontextmanager
async def running_orthanc(
    folder: Path,
    dicomweb_url: str = "",
    dimse_port: int | None = None,
    own_dimse_port: int | None = None,
    *,
    title: str = "ORTHANC",
    **changes: Any,
) -> AsyncIterator[Orthanc]:
    """An Orthanc that forwards to the DICOMweb server there, or to the port of loopback.

    Associations that call it by another title are rejected.

    Parameters
    ----------
    changes
        Further settings of Orthanc's own, such as `DicomAlwaysAllowEcho`.
    """
    port = free_port()
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": own_dimse_port is not None,
        "DicomPort": own_dimse_port or 0,
        "DicomAet": title,
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowFind": True,
        "DicomModalities": {}
        if dimse_port is None
        else {"radstream": ["RADSTREAM", "127.0.0.1", dimse_port]},
        "Plugins": [_PLUGIN],
        "DicomWeb": {
            "Enable": True,
            "Servers": {"radstream": {"Url": dicomweb_url}} if dicomweb_url else {},
        },
    } | changes
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            tool("Orthanc"), str(folder / "orthanc.json"), stdout=log, stderr=log
        )
    try:
        async with client_of(f"http://127.0.0.1:{port}") as client:

            async def is_ready() -> bool:
                assert process.returncode is None, (folder / "orthanc.log").read_text()
                try:
                    if own_dimse_port is not None:  # which it opens after HTTP's
                        _, writer = await asyncio.open_connection("127.0.0.1", own_dimse_port)
                        writer.close()
                    return (await client.get("/system")).is_success
                except (httpx.TransportError, OSError):
                    return False

            await until(is_ready)
            yield Orthanc(client, process)
    finally:
        with suppress(ProcessLookupError):  # a test has killed it
            process.terminate()
        await process.wait()
