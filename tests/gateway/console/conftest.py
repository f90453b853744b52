"""Two gateways with a console before the one real Triton: open on loopback, and with keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.access.api_keys import KeyEntry
from gateway.access.callers import Scope
from gateway.settings import AccessSettings, ConsoleSettings, Settings
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.http.test_model_reports import page_of
from tests.support.access import add_key
from tests.support.delivery import delivering, web
from tests.support.dimse import free_port
from tests.support.gateway import (
    LiveGateway,
    client_of,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png


def with_console(settings: Settings, **groups: object) -> Settings:
    return settings.model_copy(update={"console": ConsoleSettings(enabled=True), **groups})


@pytest.fixture(scope="session")
async def console(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway without keys, with one destination, where nobody is."""
    folder = tmp_path_factory.mktemp("console")
    settings = delivering(
        triton.grpc_url, folder, web("vna", f"http://127.0.0.1:{free_port()}/dicom-web")
    )
    async with running_gateway(with_console(settings)) as gateway:
        await until(gateway.is_ready)
        yield gateway


@dataclass(frozen=True)
class KeyedConsole:
    """A gateway with keys, and the file that they stand in."""

    gateway: LiveGateway
    file: Path

    def key(self, *scopes: Scope) -> tuple[str, KeyEntry]:
        return add_key(self.file, "reader", *scopes)

    @asynccontextmanager
    async def signed_in(self, key: str) -> AsyncIterator[httpx.AsyncClient]:
        """A client with a session; the file's new key is taken up in a moment."""
        async with client_of(self.gateway.url) as client:

            async def takes() -> bool:
                answer = await client.post("/console/sign-in", data={"key": key})
                return answer.status_code == 303

            await until(takes)
            yield client


@pytest.fixture(scope="session")
async def keyed(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[KeyedConsole]:
    folder = tmp_path_factory.mktemp("keyed")
    file = folder / "keys.json"
    add_key(file, "first", *Scope)
    settings = with_console(
        settings_for(triton.grpc_url, folder / "store"), access=AccessSettings(key_file=file)
    )
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        yield KeyedConsole(gateway, file)


async def listed(console: LiveGateway, query: str, studies: int) -> httpx.Response:
    """The list once it has so many studies: the index follows within five seconds."""
    answers: list[httpx.Response] = []

    async def has_them() -> bool:
        answers.append(await console.client.get(f"/console/studies?{query}"))
        return answers[-1].text.count("<tr") == studies + 1

    await until(has_them)
    return answers[-1]


async def sent(console: LiveGateway, *levels: int, **attributes: str) -> str:
    """The study_id of a study of flat images."""
    document = metadata(**attributes)
    images = [flat_png(level) for level in levels]
    answer = await console.client.post("/v1/studies", **multipart(document, *images))
    assert answer.status_code == 200
    study_id: str = document["study_id"]
    return study_id


async def accept_brightness(console: LiveGateway, person: str) -> None:
    """Have the model accepted by a person, on a page with figures."""
    path = "/v1/models/brightness/versions/1"
    report = (await console.client.get(path)).json()
    sent = {"page": page_of(report["contract_sha256"]), "accepted_by": person}
    answer = await console.client.post(f"{path}/acceptance", json=sent)
    assert answer.status_code == 200
