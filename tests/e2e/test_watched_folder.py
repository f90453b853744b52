"""The drop folder on one machine: files come to a folder, results lie in the store."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.settings import DropFolderSettings
from gateway.sidecar import EmbeddedTriton
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import (
    LiveGateway,
    running_command,
    running_gateway,
    settings_for,
    until,
)
from tests.support.inotify import limited
from tests.support.models import flat_png
from tests.support.pairing import sidecar


@pytest.fixture
async def gateway(triton: EmbeddedTriton, tmp_path: Path) -> AsyncIterator[LiveGateway]:
    """A gateway whose drop folder had a study and half another when it came up."""
    drop = tmp_path / "drop"
    (drop / "S1").mkdir(parents=True)
    (drop / "S1/x.png").write_bytes(flat_png(255))
    (drop / "S1/x.json").write_bytes(sidecar("S1"))
    (drop / "half.png").write_bytes(flat_png(1))
    watched = DropFolderSettings(folder=drop, watch=True, settle_s=0.3, sweep_s=0.5)
    settings = settings_for(triton.grpc_url, tmp_path / "store")
    async with running_gateway(settings.model_copy(update={"dropfolder": watched})) as gateway:
        yield gateway


def result(gateway: LiveGateway, study_id: str) -> Path:
    return gateway.settings.store.folder / f"results/{study_id}/result.json"


async def test_studies_that_are_there_and_that_come_are_read(gateway: LiveGateway):
    drop = gateway.settings.dropfolder.folder
    await until(result(gateway, "S1").exists)
    [image] = json.loads(result(gateway, "S1").read_text())["images"]
    assert image["findings"][0]["positive"]

    whole = flat_png(2)
    (drop / "S2").mkdir()
    (drop / "S2/x.json").write_bytes(sidecar("S2"))
    with (drop / "S2/x.png").open("wb", buffering=0) as file:
        file.write(whole[:20])
        file.write(whole[20:])
    (drop / "half.json").write_bytes(sidecar("S3"))
    (drop / "S4").mkdir()
    (drop / "S4/IM1.dcm").write_bytes(file_of(radiograph()))
    for study_id in ("S2", "S3", "S4"):
        await until(result(gateway, study_id).exists)
    assert (await gateway.client.get("/v1/parked")).json() == {"parked": []}
    assert sorted(path.name for path in drop.iterdir()) == [
        "S1",
        "S2",
        "S4",
        "half.json",
        "half.png",
    ]


async def test_broken_file_is_parked_and_its_successor_read(gateway: LiveGateway):
    drop = gateway.settings.dropfolder.folder
    (drop / "S5").mkdir()
    (drop / "S5/x.json").write_bytes(sidecar("S5"))
    (drop / "S5/x.png").write_bytes(flat_png(3)[:-20])

    async def parked() -> list[str]:
        answer = (await gateway.client.get("/v1/parked")).json()
        return [item["key"] for item in answer["parked"]]

    async def is_parked() -> bool:
        return await parked() == ["S5/x.png"]

    await until(is_parked)
    (drop / "S5/x.png").write_bytes(flat_png(3))
    await until(result(gateway, "S5").exists)

    async def is_cleared() -> bool:
        return await parked() == []

    await until(is_cleared)


async def test_no_file_in_the_folder_leads_out_of_it_or_stops_the_others(
    gateway: LiveGateway, tmp_path: Path
):
    drop = gateway.settings.dropfolder.folder
    (tmp_path / "other").mkdir()
    (tmp_path / "other/x.png").write_bytes(flat_png(9))
    (tmp_path / "other/x.json").write_bytes(sidecar("LINKED"))
    (drop / "LINKED").symlink_to(tmp_path / "other")
    (drop / "LINK").mkdir()
    (drop / "LINK/x.png").symlink_to(tmp_path / "other/x.png")
    (drop / "LINK/x.json").write_bytes(sidecar("LINK"))
    (drop / "PIPE").mkdir()
    os.mkfifo(drop / "PIPE/x.png")
    (drop / "PIPE/x.json").write_bytes(sidecar("PIPE"))
    names = [
        b"r\xf6ntgen.png",  # Latin-1
        b"new\nline.png",
        b"<script>.png",
        b"'; DROP TABLE studies; --.png",
        "\u202egnp.png".encode(),
        b"a" * 251 + b".png",
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(drop) + b"/" + name)).write_bytes(flat_png(8))

    (drop / "S6").mkdir()
    (drop / "S6/x.png").write_bytes(flat_png(7))
    (drop / "S6/x.json").write_bytes(sidecar("S6"))
    await until(result(gateway, "S6").exists)
    assert (await gateway.client.get("/livez")).status_code == 200
    for name in ("LINKED", "LINK", "PIPE"):
        assert not result(gateway, name).exists()


@pytest.mark.parametrize(("what", "count"), [("instances", 0), ("watches", 3)])
async def test_gateway_without_inotify_reads_studies_says_so_once_and_stops(
    triton: EmbeddedTriton, tmp_path: Path, what: str, count: int
):
    drop, store = tmp_path / "drop", tmp_path / "store"
    async with running_command(
        "serve",
        within=limited(what, count),
        RADSTREAM_HTTP__PORT="0",
        RADSTREAM_TRITON__URL=triton.grpc_url,
        RADSTREAM_STORE__FOLDER=str(store),
        RADSTREAM_DROPFOLDER__FOLDER=str(drop),
        RADSTREAM_DROPFOLDER__WATCH="true",
        RADSTREAM_DROPFOLDER__SETTLE_S="0.2",
        RADSTREAM_DROPFOLDER__POLL_S="0.2",
    ) as command:
        await command.url()
        for number in range(6):
            (drop / f"S{number}").mkdir()
            (drop / f"S{number}/x.png").write_bytes(flat_png(number))
            (drop / f"S{number}/x.json").write_bytes(sidecar(f"S{number}"))
            result = store / f"results/S{number}/result.json"
            await until(result.exists)
        assert await command.stop() == 0
    warnings = [line for line in map(json.loads, command.err) if line["level"] != "info"]
    assert [(line["event"], line["limit"]) for line in warnings] == [
        ("dropfolder.polling", f"fs.inotify.max_user_{what}")
    ]
