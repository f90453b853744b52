"""Real Prometheus, gateway and Triton under a mixed load: every panel shows something."""

import asyncio
import datetime as dt
import itertools
import json
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.monitoring.documents import ModelHealth, Signal
from gateway.monitoring.silences import health_key
from gateway.storage.documents import create_document
from gateway.storage.folder import FolderStore
from gateway.triton.embedded import EmbeddedTriton
from tests.support.aws import CREDENTIALS
from tests.support.gateway import (
    ROOT,
    client_of,
    metadata,
    multipart,
    run_command,
    running_command,
    until,
)
from tests.support.kinesis import Front, front, kinesis, make_stream
from tests.support.models import flat_png, write_model, write_repository
from tests.support.pairing import sidecar
from tests.support.prometheus import Prometheus, queries_of, running_prometheus
from tests.support.triton import running_triton

DASHBOARDS = {
    path.stem: json.loads(path.read_text())
    for path in sorted((ROOT / "helm/radstream/dashboards").glob("*.json"))
}
ROUTING = {
    "schema": "radstream.routing/1",
    "stop_rules": [{"name": "drift", "model": "brightness", "signals": {"mean": 1}}],
    "destinations": [{"name": "vna", "kind": "stow", "url": "http://127.0.0.1:1/"}],
    "rules": [
        {
            "name": "all",
            "when": {"all": []},
            "models": [
                {"name": "brightness"},
                {"name": "second", "version": "1", "mode": "shadow"},
            ],
        }
    ],
}


@dataclass(frozen=True)
class Watched:
    """A gateway under load, and the Prometheus that scrapes it."""

    prometheus: Prometheus
    gateway: str
    began: float


@pytest.fixture(scope="module")
async def two_models(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedTriton]:
    """A Triton with a model in silent trial beside the one whose readings are shown."""
    repository = write_repository(tmp_path_factory.mktemp("models"))
    write_model(repository, "second")
    async with running_triton(repository) as triton:
        yield triton


@pytest.fixture(scope="module")
async def watched(
    two_models: EmbeddedTriton, s3_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    (folder / "drop").mkdir()
    (folder / "routing.json").write_text(json.dumps(ROUTING))
    keys = folder / "keys.json"
    health = drifted_health()
    key = health_key(health.model, health.version)
    objects = FolderStore(folder / "store")
    await objects.open()
    await create_document(objects, key, health)
    async with kinesis(s3_url) as client, front(s3_url) as before:
        environment = CREDENTIALS | {
            "RADSTREAM_ACCESS__KEY_FILE": str(keys),
            "RADSTREAM_ACCESS__METRICS_OPEN": "true",
            "RADSTREAM_HTTP__PORT": "0",
            "RADSTREAM_TRITON__URL": two_models.grpc_url,
            "RADSTREAM_STORE__FOLDER": str(folder / "store"),
            "RADSTREAM_ROUTING__FILE": str(folder / "routing.json"),
            "RADSTREAM_DROPFOLDER__FOLDER": str(folder / "drop"),
            "RADSTREAM_DROPFOLDER__WATCH": "true",
            "RADSTREAM_DROPFOLDER__SETTLE_S": "0.1",
            "RADSTREAM_DROPFOLDER__SWEEP_S": "0.5",
            "RADSTREAM_DROPFOLDER__WAITING_DEADLINE_S": "3",
            "RADSTREAM_PENDING__SWEEP_S": "0.5",
            "RADSTREAM_MONITORING__SWEEP_S": "0.5",
            "RADSTREAM_SHADOW__SHARE": "1",
            "RADSTREAM_TELEMETRY__KIND": "kinesis",
            "RADSTREAM_TELEMETRY__STUDY_REF_KEY": "a key of more than thirty-two characters",
            "RADSTREAM_TELEMETRY__STREAM_NAME": await make_stream(client),
            "RADSTREAM_TELEMETRY__ENDPOINT": before.url,
            "RADSTREAM_TELEMETRY__LINGER_MS": "50",
            "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(folder / "spool"),
        }
        key = await new_key(keys)
        async with running_command("serve", **environment) as command:
            url = await command.url()
            async with client_of(url) as sender:
                sender.headers["X-API-Key"] = key
                await until(lambda: is_ready(sender))
                targets = {
                    "radstream": url.removeprefix("http://"),
                    "radstream-triton": two_models.metrics_url.split("/")[2],
                }
                began = time.time()
                async with (
                    running_prometheus(folder, targets) as prometheus,
                    under_load(sender, folder / "drop", before),
                ):
                    yield Watched(prometheus, targets["radstream"], began)


def drifted_health() -> ModelHealth:
    """The health of a model as another gateway has left it: weeks of readings."""
    names = ("mean", "view", "probability/bright", "positive/bright", "unusual/mean")
    begun = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    signals = {name: Signal(value=0.1, limit=0.2, n=500, alarm_since=begun) for name in names}
    return ModelHealth(model="brightness", version="1", readings=9000, signals=signals)


async def new_key(keys: Path) -> str:
    """A key that will expire."""
    arguments = ("--scope", "studies:write", "--days", "30", "--file", str(keys))
    _, out, _ = await run_command("keys", "create", "sender", *arguments)
    return out.strip()


async def is_ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).is_success


@asynccontextmanager
async def under_load(client: httpx.AsyncClient, drop: Path, before: Front) -> AsyncIterator[None]:
    """Senders of every kind, until the block ends."""
    senders = [send_studies(client), drop_files(drop), take_telemetry_ill(before)]
    tasks = [asyncio.create_task(each) for each in senders]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task


async def send_studies(client: httpx.AsyncClient) -> None:
    """Of each seven one bright, dark, the same, for later, unreadable, wrong, and a stranger's."""
    document: dict[str, Any] = {}
    for number in itertools.count():
        turn = number % 7
        document = document if turn == 2 else metadata()
        if turn == 5:
            document["view"] = "FROM THE SIDE"
        picture = b"no picture" if turn == 4 else flat_png(255 if turn == 0 else 0, 1024, 1024)
        headers = {3: {"Prefer": "respond-async"}, 6: {"X-API-Key": "none of ours"}}.get(turn, {})
        response = await client.post("/v1/studies", headers=headers, **multipart(document, picture))
        assert response.status_code == (200, 200, 200, 202, 415, 422, 401)[turn], response.text
        await asyncio.sleep(0.5 if turn == 6 else 0.05)  # shadow models wait for a pause


async def drop_files(drop: Path) -> None:
    """Pairs, and images that stay alone."""
    for number in itertools.count():
        folder = drop / f"S-{secrets.token_hex(8)}"
        folder.mkdir()
        (folder / "x.png").write_bytes(flat_png(number % 256))
        if number % 2:
            (folder / "x.json").write_bytes(sidecar(folder.name))
        await asyncio.sleep(0.3)


async def take_telemetry_ill(before: Front) -> None:
    """The stream refuses all records for a while, then one of three, then none."""
    for refuses in itertools.cycle(
        (lambda _number: True, lambda number: number % 3 == 0, lambda _number: False)
    ):
        before.refuses = refuses
        await asyncio.sleep(4)


async def show(watched: Watched, dashboard: str, **variables: str) -> None:
    """Return when each query of a dashboard has found something."""
    empty = list(queries_of(DASHBOARDS[dashboard], **variables))

    async def none_is_empty() -> bool:
        for query in list(empty):
            values = await watched.prometheus.samples(
                query.text, instant=query.instant, began=watched.began
            )
            # There is no GPU here; its panel's other queries show something.
            if values or "nv_gpu" in query.text:
                empty.remove(query)
        return not empty

    try:
        await until(none_is_empty, timeout_s=60)
    except TimeoutError:
        pytest.fail("\n".join(f"{query.panel}: {query.text}" for query in empty))


@pytest.mark.parametrize("dashboard", DASHBOARDS)
async def test_every_query_of_every_panel_finds_something(watched: Watched, dashboard: str):
    await show(watched, dashboard)


@pytest.mark.parametrize("dashboard", DASHBOARDS)
async def test_what_can_be_chosen_at_the_top_is_there_and_narrows_the_panels(
    watched: Watched, dashboard: str
):
    chosen = {}
    for variable in DASHBOARDS[dashboard]["templating"]["list"]:
        if variable["type"] == "query":
            [(series, label)] = re.findall(r"label_values\((.*), (\w+)\)", variable["query"])
            [series] = [series.replace("$namespace", ".*")]
            path = f"label/{label}/values"
            chosen[variable["name"]] = await watched.prometheus.ask(path, **{"match[]": series})
    assert chosen.pop("namespace") == []  # there is none on one machine
    models = {"models": ["brightness", "second"], "model-health": ["brightness"]}
    assert chosen == (
        {"model": models[dashboard]} if dashboard in models else {"instance": [watched.gateway]}
    )
    await show(watched, dashboard, **{name: values[0] for name, values in chosen.items()})


async def test_shipped_rules_run_on_what_is_scraped(watched: Watched):
    async def parked_studies_are_told() -> bool:
        groups = (await watched.prometheus.ask("rules"))["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}, rules
        states = {rule["name"]: rule["state"] for rule in rules if rule["type"] == "alerting"}
        assert states["RadStreamTargetDown"] == states["RadStreamNoModelReady"] == "inactive"
        return states["RadStreamStudiesParked"] == "pending"

    await until(parked_studies_are_told)
