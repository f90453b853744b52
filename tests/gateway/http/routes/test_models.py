"""The models as callers see them."""

from pathlib import Path

import httpx
import pytest

from gateway import __version__
from gateway.runtime.file_digests import program_sha256
from gateway.schemas.contract import Contract
from tests.support.commands import run_beside
from tests.support.gateway import running_gateway, settings_for, until
from tests.support.models import contract, write_model, write_repository, write_version
from tests.support.triton import running_triton


async def test_a_model_is_listed_with_the_contract_it_keeps(client: httpx.AsyncClient):
    answer = await client.get("/v1/models")
    assert answer.status_code == 200
    assert answer.json()["gateway"] == {"version": __version__, "sha256": program_sha256()}
    [model] = answer.json()["models"]
    assert (model["name"], model["version"], model["state"]) == ("brightness", "1", "ready")
    assert "reason" not in model
    sent = contract()
    assert model["contract"]["schema"] == sent["schema"]
    assert model["contract"]["output"] == sent["output"]
    assert model["contract"]["golden"] == sent["golden"]
    assert Contract.model_validate(model["contract"]) == Contract.model_validate(sent)


@pytest.mark.server
async def test_a_model_kept_out_is_listed_with_the_reason(tmp_path: Path):
    repository = write_repository(tmp_path / "models")
    write_model(
        repository, "liar", document=contract({"golden": {"probabilities": {"bright": 0.1}}})
    )
    write_model(repository, "stranger", document="")
    async with (
        running_triton(repository) as triton,
        running_gateway(settings_for(triton.grpc_url, tmp_path / "store")) as gateway,
    ):
        await until(gateway.is_ready)
        models = (await gateway.client.get("/v1/models")).json()["models"]
        metrics = (await gateway.client.get("/metrics")).text
    told = {model["name"]: (model["state"], model.get("reason")) for model in models}
    assert told == {
        "brightness": ("ready", None),
        "liar": ("refused", "the golden image gives bright 0.6900 by liar, not 0.1000"),
        "stranger": ("refused", "config.pbtxt has no parameter 'radstream'"),
    }
    assert 'radstream_model_ready{model="brightness",version="1"} 1.0' in metrics
    assert 'radstream_model_ready{model="liar",version="1"} 0.0' in metrics


@pytest.mark.server
async def test_a_version_that_joins_a_model_is_loaded_on_request(tmp_path: Path):
    folder = write_repository(tmp_path / "models") / "brightness"
    async with (
        running_triton(folder.parent) as triton,
        running_gateway(settings_for(triton.grpc_url, tmp_path / "store")) as gateway,
    ):
        await until(gateway.is_ready)
        write_version(folder, "2", {})
        loaded = await gateway.client.post("/v1/models/brightness/load")
        assert loaded.status_code == 200, loaded.text
        told = [(each["version"], each["state"]) for each in loaded.json()["models"]]
        assert told == [("1", "ready"), ("2", "ready")]

        (folder / "3").mkdir()
        broken = await gateway.client.post("/v1/models/brightness/load")
        assert (broken.status_code, broken.json()["title"]) == (409, "Model not loaded")
        assert "brightness" in broken.json()["detail"]
        code, out = await run_beside("models", "load", "brightness", "--url", gateway.url)
        assert (code, "Model not loaded" in out) == (1, True)
        assert await gateway.is_ready()

        (folder / "3").rmdir()
        write_version(folder, "3", {})
        code, out = await run_beside("models", "load", "brightness", "--url", gateway.url)
        assert code == 0
        assert [line.split()[:3] for line in out.splitlines()[1:]] == [
            ["brightness", version, "ready"] for version in "123"
        ]
        unknown = await gateway.client.post("/v1/models/other/load")
        assert (unknown.status_code, unknown.json()["title"]) == (422, "Unknown model")
