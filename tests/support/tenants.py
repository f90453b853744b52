"""A gateway that two hospitals share, and what an attacker of one knows of the other."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from pydicom.uid import generate_uid

from gateway.access.callers import Scope
from gateway.app.application import create_app
from gateway.settings import (
    AccessSettings,
    ConsoleSettings,
    DropFolderSettings,
    RoutingSettings,
    Settings,
    TenancySettings,
)
from tests.support.access import add_key
from tests.support.dicom import file_of, radiograph
from tests.support.dimse import free_port
from tests.support.gateway import (
    LiveGateway,
    brisk,
    client_of,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png

TENANTS = ("north", "south")


@dataclass(frozen=True)
class Hospitals:
    """A gateway with tenants, and the key of each; `ops` belongs to none."""

    gateway: LiveGateway
    keys: dict[str, str]

    def client(self, name: str) -> httpx.AsyncClient:
        """Return a client with somebody's key."""
        client = client_of(self.gateway.url)
        client.headers["X-API-Key"] = self.keys[name]
        return client

    @asynccontextmanager
    async def signed_in(self, name: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a session of the console."""
        async with client_of(self.gateway.url) as client:
            answer = await client.post("/console/sign-in", data={"key": self.keys[name]})
            assert answer.status_code == 303, answer.text
            yield client


def routing_document(*more: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """Return a document with senders of both tenants, by each means."""
    senders: list[dict[str, Any]] = []
    for tenant in TENANTS:
        senders += [
            {"name": tenant, "tenant": tenant, "key": tenant},
            {"name": tenant, "tenant": tenant, "prefix": f"{tenant}-"},
            {
                "name": f"{tenant}-dx",
                "tenant": tenant,
                "ae_title": tenant.upper(),
                "addresses": ["127.0.0.1"],
                "storage_commitment": {},
            },
        ]
    return {"schema": "radstream.routing/1", "senders": [*senders, *more], **parts}


def shared_settings(triton_url: str, folder: Path) -> tuple[Settings, dict[str, str]]:
    """Return settings of a gateway with two tenants, and the keys by name."""
    names = (*TENANTS, "ops")
    keys = {name: add_key(folder / "keys.json", name, *Scope)[0] for name in names}
    (folder / "routing.json").write_text(json.dumps(routing_document()))
    (folder / "drop").mkdir()
    drop = DropFolderSettings(folder=folder / "drop", watch=True, settle_s=0.3, sweep_s=0.5)
    settings = brisk(
        settings_for(triton_url, folder / "store"),
        access=AccessSettings(key_file=folder / "keys.json"),
        console=ConsoleSettings(enabled=True),
        dropfolder=drop,
        routing=RoutingSettings(file=folder / "routing.json"),
        tenancy=TenancySettings(tenants=TENANTS),
    )
    dimse = settings.dimse.model_copy(update={"listen": True, "port": free_port()})
    return settings.model_copy(update={"dimse": dimse}), keys


@asynccontextmanager
async def hospitals(triton_url: str, folder: Path) -> AsyncIterator[Hospitals]:
    """A running gateway that two hospitals share."""
    settings, keys = shared_settings(triton_url, folder)
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield Hospitals(gateway, keys)


# --- what there is to know ------------------------------------------------------------------------


@dataclass(frozen=True)
class Secrets:
    """Names of a study that an attacker may have come to know, by the parameters of routes."""

    study_id: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    parked_id: str

    @classmethod
    def of_nothing(cls) -> "Secrets":
        """Names that nothing has."""
        uids = [str(generate_uid()) for _ in range(4)]
        return cls(*uids, parked_id="0" * 32)

    def path(self, template: str) -> str:
        """Return a route's path with these names, and with 1 for every number."""
        plain = {"number": "1", "frame": "1", "frames": "1", "tag": "00091010", "path": "x"}
        plain |= {"digest": "0" * 16, "name": "x"}
        values = plain | {name: getattr(self, name) for name in self.__annotations__}
        return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: values.get(found[1], "x"), template)

    def hidden(self, text: str) -> str:
        """Return the text with a star for each of these names."""
        for name in self.__annotations__:
            text = text.replace(getattr(self, name), "*")
        return text


async def known_study(client: httpx.AsyncClient, **attributes: Any) -> Secrets:
    """Send a study of one DICOM image, and one that is parked; return their names."""
    dataset = radiograph(PatientID="P-SECRET", AccessionNumber="ACC-SECRET", **attributes)
    answer = await client.post("/v1/studies", **multipart(None, file_of(dataset)))
    assert answer.status_code == 200, answer.text
    document = metadata(study_id="PARKED-SECRET", image_size={"width": 31, "height": 32})
    answer = await client.post(
        "/v1/studies",
        **multipart(document, flat_png(7)),
        headers={"Prefer": "respond-async"},
    )
    assert answer.status_code == 202, answer.text

    async def is_parked() -> bool:
        return len((await client.get("/v1/parked")).json()["parked"]) > 0

    async def is_found() -> bool:
        found = await client.get("/dicomweb/studies")
        return found.status_code == 200 and dataset.StudyInstanceUID in found.text

    await asyncio.gather(until(is_parked), until(is_found))
    [item] = (await client.get("/v1/parked")).json()["parked"]
    return Secrets(
        study_id=dataset.StudyInstanceUID,
        study_instance_uid=dataset.StudyInstanceUID,
        series_instance_uid=dataset.SeriesInstanceUID,
        sop_instance_uid=dataset.SOPInstanceUID,
        parked_id=item["id"],
    )


# --- ways in --------------------------------------------------------------------------------------


def routes() -> Iterator[tuple[str, str, RouteContext]]:
    """Yield method, path and context of every route, the console's among them."""
    app = create_app(Settings(console=ConsoleSettings(enabled=True)))
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, APIRoute):
            for method in sorted(route.methods or ()):
                yield method, route.path, route
