"""Stopping as a pod is stopped: work in flight is finished, then the process ends."""

import asyncio
import gc
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.app.server import GatewayServer, serve
from gateway.settings import HttpSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import (
    Command,
    client_of,
    files_in,
    metadata,
    metric,
    multipart,
    running_command,
    settings_for,
    suspended,
    until,
)
from tests.support.models import flat_png


def environment(triton: EmbeddedTriton, folder: Path, **variables: str) -> dict[str, str]:
    return {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_STORE__FOLDER": str(folder),
    } | variables


async def in_flight(client: httpx.AsyncClient) -> asyncio.Task[httpx.Response]:
    """A study that Triton has before it."""

    async def is_inferring() -> bool:
        text = (await client.get("/metrics")).text
        return metric(text, "radstream_stage_seconds_count", stage="tensor") == 1

    study = asyncio.create_task(client.post("/v1/studies", **multipart(metadata(), flat_png(50))))
    await until(is_inferring)
    return study


def said(command: Command, event: str) -> bool:
    return any(f'"event": "{event}"' in line for line in command.err)


async def test_a_study_in_flight_is_finished_and_the_end_is_a_success(
    triton: EmbeddedTriton, tmp_path: Path
):
    async with running_command("serve", **environment(triton, tmp_path)) as command:
        async with client_of(await command.url()) as client:
            with suspended(triton):
                study = await in_flight(client)
                command.process.send_signal(signal.SIGTERM)
                await until(lambda: said(command, "gateway.draining"))
                assert not study.done()
            answer = await study
        assert answer.status_code == 200
        assert await command.process.wait() == 0
        assert said(command, "gateway.closing")


async def test_readiness_is_false_before_the_listener_closes(
    triton: EmbeddedTriton, tmp_path: Path
):
    variables = environment(triton, tmp_path, RADSTREAM_HTTP__DRAIN_DELAY_S="600")
    async with running_command("serve", **variables) as command:
        async with client_of(await command.url()) as client:
            command.process.send_signal(signal.SIGTERM)
            await until(lambda: said(command, "gateway.draining"))
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["checks"]["draining"] is True
            study = await client.post("/v1/studies", **multipart(metadata(), flat_png(5)))
            assert study.status_code == 200
            assert study.headers["connection"] == "close"
        # The second signal is from someone who will not wait out the delay.
        assert await command.stop() == 0


async def test_work_beyond_the_grace_period_is_given_up(triton: EmbeddedTriton, tmp_path: Path):
    variables = environment(triton, tmp_path, RADSTREAM_HTTP__GRACE_PERIOD_S="0")
    async with running_command("serve", **variables) as command:
        async with client_of(await command.url()) as client:
            with suspended(triton):
                study = await in_flight(client)
                assert await command.stop() == 0
                with pytest.raises(httpx.HTTPError):
                    (await study).raise_for_status()
        assert files_in(tmp_path) == []


async def test_it_says_where_it_listens_on_ipv6_too(triton: EmbeddedTriton, tmp_path: Path):
    heard: list[str] = []
    settings = settings_for(triton.grpc_url, tmp_path).model_copy(
        update={"http": HttpSettings(host="::1", port=0)}
    )

    class Stopping(GatewayServer):
        async def main_loop(self) -> None:
            async with client_of(heard[0]) as client:
                self.answered = (await client.get("/livez")).status_code

    server: Any = Stopping(settings, heard.append)
    await server.serve()
    assert heard[0].startswith("http://[::1]:")
    assert server.answered == 200


async def test_what_is_there_at_the_start_is_kept_from_the_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = []
    monkeypatch.setattr(gc, "freeze", lambda: told.append("frozen"))

    def ready(url: str) -> None:
        told.append(url.partition(":")[0])
        os.kill(os.getpid(), signal.SIGTERM)

    assert await serve(settings_for("127.0.0.1:1", tmp_path), ready)
    assert told == ["frozen", "http"]
