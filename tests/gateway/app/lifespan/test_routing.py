"""The routing document is followed; each change is on record, and a broken one changes nothing."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.app.lifespan.audit import open_audit
from gateway.app.lifespan.context import LifespanContext
from gateway.app.lifespan.routing import open_routing
from gateway.app.lifespan.stores import open_stores
from gateway.routing.document import RoutingFileError
from gateway.routing.in_force import Routing
from gateway.routing.sources import StoredRouting
from gateway.settings import RoutingSettings, StoreSettings
from gateway.storage.folder import FolderStore
from tests.gateway.app.lifespan.conftest import InContext
from tests.support.aws import free_port
from tests.support.gateway import LiveGateway, audit_trail, running_gateway, settings_for, until
from tests.support.s3 import make_buckets, s3, store_settings

CT: dict[str, Any] = {"name": "ct", "ae_title": "CT3", "addresses": ["10.1.2.0/24"]}


def write(path: Path, *senders: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps({"schema": "radstream.routing/1", "senders": senders}))
    unfinished.replace(path)


def form(*senders: dict[str, Any]) -> bytes:
    return json.dumps({"schema": "radstream.routing/1", "senders": senders}).encode()


async def opened(context: LifespanContext) -> Routing:
    objects, _ = await open_stores(context)
    return await open_routing(context, await open_audit(context), objects)


async def test_a_change_is_taken_without_a_restart_and_a_broken_one_is_not(
    in_context: InContext, tmp_path: Path
):
    file = tmp_path / "routing.json"
    write(file)
    context = in_context(routing=RoutingSettings(file=file))
    routing = await opened(context)
    first = routing.routes.digest
    write(file, CT)
    await until(lambda: len(routing.routes.senders) == 1)
    changed = routing.routes.digest
    good = file.read_bytes()
    file.write_bytes(good[:-9])
    value = context.metrics.registry.get_sample_value
    await until(lambda: value("radstream_routing_file_valid") == 0)
    assert routing.routes.digest == changed
    assert routing.fault is not None
    file.write_bytes(good)
    await until(lambda: value("radstream_routing_file_valid") == 1)
    assert routing.fault is None
    read, change, refused = audit_trail(context.settings)
    assert (read["operation"], read["document"]) == ("routing document: read", first)
    assert (change["operation"], change["outcome"]) == ("routing document: change", "success")
    assert change["document"] == changed
    assert [each["pointer"] for each in change["changes"]] == ["/senders/ct"]
    assert (refused["operation"], refused["outcome"]) == ("routing document: change", "refused")
    assert "JSON" in refused["reason"]


async def test_a_document_that_cannot_be_read_stops_the_start(
    in_context: InContext, tmp_path: Path
):
    context = in_context(routing=RoutingSettings(file=tmp_path / "none.json"))
    with pytest.raises(RoutingFileError):
        await opened(context)


async def test_without_a_file_there_is_none(in_context: InContext):
    context = in_context()
    assert not (await opened(context)).is_set


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.server)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSettings:
    """The store that gateways share."""
    if request.param == "folder":
        return StoreSettings(folder=tmp_path / "shared")
    url: str = request.getfixturevalue("s3_url")
    settings = store_settings(url)
    async with s3(url) as client:
        await make_buckets(client, settings)
    return settings


async def test_gateways_of_one_store_follow_its_document(
    in_context: InContext, store: StoreSettings
):
    contexts = [in_context(routing=RoutingSettings(stored=True), store=store) for _ in range(2)]
    objects, _ = await open_stores(contexts[0])
    stored = StoredRouting(objects)
    await stored.write(form())
    both = [await opened(context) for context in contexts]
    assert [each.is_set for each in both] == [True, True]
    await stored.write(form(CT))
    await until(lambda: all(len(each.routes.senders) == 1 for each in both))
    changed = both[0].routes.digest

    def are_valid(value: int) -> bool:
        registries = [context.metrics.registry for context in contexts]
        name = "radstream_routing_file_valid"
        return all(each.get_sample_value(name) == value for each in registries)

    assert are_valid(1)
    await stored.write(form(CT | {"ae_title": "a title that is far too long"}))
    await until(lambda: are_valid(0))
    assert [each.routes.digest for each in both] == [changed, changed]
    await objects.delete("routing/document.json")
    await until(lambda: all("has none" in str(each.fault) for each in both))
    assert [each.routes.digest for each in both] == [changed, changed]
    await stored.write(form())
    await until(lambda: are_valid(1))
    assert [len(each.routes.senders) for each in both] == [0, 0]
    trail = audit_trail(contexts[0].settings)
    of_change = [each for each in trail if each["operation"] == "routing document: change"]
    refused = [each["reason"] for each in of_change if each["outcome"] == "refused"]
    assert len([each for each in refused if "/senders/0/" in each]) == 2
    taken = [each for each in of_change if each.get("document") == changed]
    assert [[item["pointer"] for item in each["changes"]] for each in taken] == [
        ["/senders/ct"]
    ] * 2


async def test_a_store_without_a_document_stops_the_start(
    in_context: InContext, store: StoreSettings
):
    context = in_context(routing=RoutingSettings(stored=True), store=store)
    with pytest.raises(RoutingFileError, match="radstream rules publish"):
        await opened(context)


@pytest.mark.server
async def test_two_running_gateways_follow_what_is_published(tmp_path: Path):
    settings = settings_for(f"127.0.0.1:{free_port()}", tmp_path / "store")
    settings = settings.model_copy(update={"routing": RoutingSettings(stored=True)})
    objects = FolderStore(tmp_path / "store")
    await objects.open()
    stored = StoredRouting(objects)
    await stored.write(form())

    async def senders(gateway: LiveGateway) -> list[str]:
        document = (await gateway.client.get("/v1/rules")).json()["document"]
        return [each["name"] for each in document["senders"]]

    async with running_gateway(settings) as one, running_gateway(settings) as other:

        async def have(names: list[str]) -> bool:
            return await asyncio.gather(senders(one), senders(other)) == [names, names]

        assert await have([])
        await stored.write(form(CT))
        await until(lambda: have(["ct"]))
        await stored.write(form(CT)[:-9])
        await until(lambda: _is_stale(one))
        assert await have(["ct"])


async def _is_stale(gateway: LiveGateway) -> bool:
    report = (await gateway.client.get("/v1/rules")).json()
    metrics = (await gateway.client.get("/metrics")).text
    return "JSON" in report.get("fault", "") and "radstream_routing_file_valid 0.0" in metrics
