"""A real Orthanc with its DICOMweb plugin: a PACS that forwards what it holds."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
    """A PACS that knows one DICOMweb server by the name ``radstream``."""

    client: httpx.AsyncClient

    async def keep(self, instance: bytes) -> str:
        """Put an instance into the PACS; return its own name for it."""
        answer = await self.client.post("/instances", content=instance)
        assert answer.is_success, answer.text
        name: str = answer.json()["ID"]
        return name

    async def forward(self, *instances: str) -> dict[str, Any]:
        """Forward instances by STOW-RS; return the job once it has ended."""
        order = {"Resources": list(instances), "Synchronous": False}
        answer = await self.client.post("/dicom-web/servers/radstream/stow", json=order)
        assert answer.is_success, answer.text
        path = answer.json()["Path"]

        async def has_ended() -> bool:
            return (await self.client.get(path)).json()["State"] in {"Success", "Failure"}

        await until(has_ended)
        job: dict[str, Any] = (await self.client.get(path)).json()
        return job


@asynccontextmanager
async def running_orthanc(folder: Path, dicomweb_url: str) -> AsyncIterator[Orthanc]:
    """An Orthanc that forwards to the DICOMweb server there."""
    port = free_port()
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "Plugins": [_PLUGIN],
        "DicomWeb": {"Enable": True, "Servers": {"radstream": {"Url": dicomweb_url}}},
    }
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
                    return (await client.get("/system")).is_success
                except httpx.TransportError:
                    return False

            await until(is_ready)
            yield Orthanc(client)
    finally:
        process.terminate()
        await process.wait()
