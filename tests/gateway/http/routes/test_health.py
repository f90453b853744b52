"""Alive, ready, and what callers see when Triton is not there."""

import asyncio
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families

from gateway.triton.embedded.ports import choose_ports
from tests.support.gateway import (
    LiveGateway,
    brisk,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    suspended,
    until,
)
from tests.support.inference import ScriptedTriton, answers, brightness, inferred, serving
from tests.support.models import GOLDEN_LEVEL, contract, flat_png, write_model
from tests.support.processes import backend_process, stopped
from tests.support.triton import running_triton


def is_unavailable(answer: httpx.Response) -> bool:
    """Whether the answer is the problem that Triton's absence is."""
    return (
        answer.status_code == 503
        and answer.json()["type"] == "urn:radstream:problem:model-unavailable"
        and answer.headers["retry-after"] == "2"
    )


async def test_a_gateway_with_its_models_is_ready(client: httpx.AsyncClient):
    assert (await client.get("/livez")).json() == {"status": "alive"}
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "checks": {
            "draining": False,
            "failed": None,
            "triton": True,
            "models": {"brightness/1": "ready"},
        },
    }


@pytest.mark.server
async def test_without_triton_it_lives_but_is_not_ready(tmp_path: Path):
    nobody = f"127.0.0.1:{choose_ports().grpc}"
    async with running_gateway(settings_for(nobody, tmp_path)) as gateway:
        assert (await gateway.client.get("/livez")).status_code == 200
        answer = await gateway.client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "not ready",
            "checks": {"draining": False, "failed": None, "triton": False, "models": {}},
        }
        study = multipart(metadata(), flat_png(1))
        assert is_unavailable(await gateway.client.post("/v1/studies", **study))
        assert (await gateway.client.get("/v1/models")).json()["models"] == []
        assert gateway.stored() == []


async def test_a_draining_gateway_still_answers_but_is_not_ready(
    gateway: LiveGateway, tmp_path: Path
):
    settings = settings_for(gateway.settings.triton.url, tmp_path)
    async with running_gateway(settings) as draining:
        await until(draining.is_ready)
        draining.server.health.drain()
        answer = await draining.client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["draining"] is True
        study = multipart(metadata(), flat_png(1))
        assert (await draining.client.post("/v1/studies", **study)).status_code == 200


@pytest.mark.server
async def test_a_triton_killed_under_a_study_comes_back_by_itself(repository: Path, tmp_path: Path):
    async with (
        running_triton(repository) as triton,
        running_gateway(settings_for(triton.grpc_url, tmp_path)) as gateway,
    ):
        await until(gateway.is_ready)
        with suspended(triton) as process:
            study = multipart(metadata(), flat_png(1))
            answer = asyncio.create_task(gateway.client.post("/v1/studies", **study))
            await until(lambda: _is_inferring(gateway))
            process.kill()
            assert is_unavailable(await answer)
        assert gateway.stored() == []
        assert not await gateway.is_ready()
        await until(gateway.is_ready)
        assert (await gateway.client.post("/v1/studies", **study)).status_code == 200


@pytest.mark.server
async def test_a_dead_instance_is_reloaded_and_each_study_is_read_meanwhile(tmp_path: Path):
    """Studies that meet the dead instance wait for the reload, which they share."""
    write_model(tmp_path / "models", instances=2)
    async with (
        running_triton(tmp_path / "models") as triton,
        running_gateway(settings_for(triton.grpc_url, tmp_path / "store")) as gateway,
    ):
        await until(gateway.is_ready)
        backend_process(triton.grpc_url, "brightness").kill()  # of two
        reloaded = {"model": "brightness", "outcome": "reloaded"}
        while not await _count(gateway, "radstream_model_reloads_total", **reloaded):
            assert await asyncio.gather(*[_is_read(gateway) for _ in range(4)]) == [True] * 4
        assert await gateway.metric("radstream_model_reloads_total", **reloaded) == 1
        await until(gateway.is_ready)
        assert [await _is_read(gateway) for _ in range(4)] == [True] * 4  # by both in turn


@pytest.mark.server
async def test_a_sick_model_beside_a_healthy_one_costs_its_own_studies_alone(tmp_path: Path):
    write_model(tmp_path / "models")
    hand = contract({"accepts": {"body_parts": ["HAND"]}})
    write_model(tmp_path / "models", "hand", document=hand)
    async with (
        running_triton(tmp_path / "models") as triton,
        running_gateway(settings_for(triton.grpc_url, tmp_path / "store")) as gateway,
    ):
        await until(lambda: _models(gateway, {"brightness/1": "ready", "hand/1": "ready"}))
        with stopped(backend_process(triton.grpc_url, "hand")):
            sick = {"brightness/1": "ready", "hand/1": "unavailable"}
            await until(lambda: _models(gateway, sick))
            assert (await gateway.client.get("/readyz")).json()["status"] == "ready"
            of_the_hand = multipart(metadata(body_part="HAND"), flat_png(1))
            in_haste = {"request-timeout": "1"}  # not long enough to wait for the reload
            answer = await gateway.client.post("/v1/studies", headers=in_haste, **of_the_hand)
            assert is_unavailable(answer)
            assert await _is_read(gateway, body_part="CHEST")
            labels = {"model": "hand", "version": "1"}
            assert await gateway.metric("radstream_model_ready", **labels) == 0
        await until(lambda: _models(gateway, {"brightness/1": "ready", "hand/1": "ready"}))


async def _models(gateway: LiveGateway, states: dict[str, str]) -> bool:
    answer = await gateway.client.get("/readyz")
    return bool(answer.json()["checks"]["models"] == states)


async def _count(gateway: LiveGateway, name: str, **labels: str) -> bool:
    return await gateway.metric(name, **labels) >= 1


async def test_a_triton_that_answers_without_outputs_is_away_and_the_study_waits(tmp_path: Path):
    triton = ScriptedTriton()
    async with (
        serving(triton) as url,
        running_gateway(brisk(settings_for(url, tmp_path))) as gateway,
    ):
        await until(gateway.is_ready)
        triton.infer = answers(inferred())  # as it does while it crashes
        study = multipart(metadata(study_id="S-202"), flat_png(GOLDEN_LEVEL))
        accepted = await gateway.client.post(
            "/v1/studies", headers={"Prefer": "respond-async"}, **study
        )
        assert accepted.status_code == 202
        other = multipart(metadata(), flat_png(GOLDEN_LEVEL))
        assert is_unavailable(await gateway.client.post("/v1/studies", **other))
        await until(lambda: _was_tried(gateway, "S-202"))
        triton.infer = answers(brightness())
        await until(lambda: _is_completed(gateway, "S-202"))
        assert (await gateway.client.get("/v1/parked")).json() == {"parked": []}


async def _was_tried(gateway: LiveGateway, study_id: str) -> bool:
    view = (await gateway.client.get(f"/v1/studies/{study_id}")).json()
    [item] = view["pending"]
    if "problem" not in item:
        return False
    assert item["problem"]["type"] == "urn:radstream:problem:model-unavailable"
    return True


async def _is_completed(gateway: LiveGateway, study_id: str) -> bool:
    view = (await gateway.client.get(f"/v1/studies/{study_id}")).json()
    return bool(view["status"] == "completed")


async def _is_read(gateway: LiveGateway, **changes: str) -> bool:
    study = multipart(metadata(**changes), flat_png(1))
    return (await gateway.client.post("/v1/studies", **study)).status_code == 200


async def _is_inferring(gateway: LiveGateway) -> bool:
    return await gateway.metric("radstream_stage_seconds_count", stage="decode") == 1


async def test_metrics_are_what_prometheus_reads(client: httpx.AsyncClient):
    await client.post("/v1/studies", **multipart(metadata(), flat_png(1)))
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {"radstream_studies", "radstream_stage_seconds", "process_cpu_seconds"} <= families


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        # As Prometheus asks.
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
        ("text/plain", "text/plain; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text; version=x", "application/openmetrics-text; version=1.0.0"),
        ("*/*", "text/plain"),
    ],
)
async def test_metrics_come_in_the_form_that_the_scraper_takes(
    client: httpx.AsyncClient, accept: str, answered: str
):
    answer = await client.get("/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith(answered)
    in_openmetrics = answered.startswith("application/")
    parse = parse_openmetrics if in_openmetrics else text_string_to_metric_families
    names = {family.name for family in parse(answer.text)}
    assert {"radstream_http_requests", "radstream_build", "process_cpu_seconds"} <= {
        name.removesuffix("_info") for name in names
    }
    assert answer.text.endswith("# EOF\n") is in_openmetrics
