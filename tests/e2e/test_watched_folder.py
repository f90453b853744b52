"""The drop folder on one machine: files come to a folder, results lie in the store."""

import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import DropFolderSettings, Settings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import (
    LiveGateway,
    audit_trail,
    run_command,
    running_command,
    running_gateway,
    settings_for,
    suspended,
    until,
)
from tests.support.inotify import limited
from tests.support.models import flat_png
from tests.support.pairing import sidecar
from tests.support.telemetry import events_in


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
    [reading] = image["readings"]
    assert reading["findings"][0]["positive"]

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

    async def is_counted(name: str, **labels: str) -> bool:
        return await gateway.metric(name, **labels) == 4

    labels = {"caller": "dropfolder", "outcome": "completed"}
    await until(lambda: is_counted("radstream_caller_studies_total", **labels))
    await until(lambda: is_counted("radstream_study_freshness_seconds_count", route="folder"))
    await until(lambda: len(events_in(gateway.settings.telemetry.folder)) > 0)
    callers = {event["caller"] for event in events_in(gateway.settings.telemetry.folder)}
    assert callers == {"dropfolder"}
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


async def test_file_that_is_replaced_leaves_its_reading_behind_and_out_of_the_list(
    gateway: LiveGateway,
):
    drop, client = gateway.settings.dropfolder.folder, gateway.client
    await until(result(gateway, "S1").exists)

    async def positive() -> tuple[int, list[str]]:
        page = (await client.get("/v1/studies")).json()["studies"]
        [summary] = [item for item in page if item["study_id"] == "S1"]
        return summary["images"], summary["positive"]

    assert await positive() == (1, ["bright"])
    white, black = flat_png(255), flat_png(0)
    for data, other, expected in ((black, white, (1, [])), (white, black, (1, ["bright"]))):
        (drop / "S1/x.png").write_bytes(data)

        async def is_told(expected: tuple[int, list[str]] = expected) -> bool:
            return await positive() == expected

        await until(is_told)
        images = {
            image["sha256"]: image
            for image in (await client.get("/v1/studies/S1")).json()["images"]
        }
        stands = hashlib.sha256(data).hexdigest()
        replaced = images[hashlib.sha256(other).hexdigest()]
        assert replaced["superseded_by"] == stands
        assert "superseded_by" not in images[stands]
        assert (await client.get(replaced["readings"][0]["heatmap"])).status_code == 200
    noted = [
        record
        for record in audit_trail(gateway.settings)
        if record["operation"] == "drop folder: supersede image"
    ]
    assert [(record["action"], record["studies"]) for record in noted] == [("U", ["S1"])] * 2


async def test_image_that_no_sidecar_can_mend_is_parked_while_others_wait(gateway: LiveGateway):
    drop = gateway.settings.dropfolder.folder
    (drop / "S7").mkdir()
    (drop / "S7/good.png").write_bytes(flat_png(3))
    (drop / "S7/cut.png").write_bytes(flat_png(3)[:-20])
    (drop / "S7/text.jpg").write_bytes(b"no image at all")

    async def parked() -> dict[str, str]:
        answer = (await gateway.client.get("/v1/parked")).json()
        return {item["key"]: item["problem"]["type"][22:] for item in answer["parked"]}

    async def are_parked() -> bool:
        return len(await parked()) == 2

    await until(are_parked)
    assert await parked() == {"S7/cut.png": "unreadable-image", "S7/text.jpg": "unsupported-image"}


async def test_second_of_two_images_that_contradict_each_other_says_how_and_is_retried(
    gateway: LiveGateway,
):
    drop, client = gateway.settings.dropfolder.folder, gateway.client
    (drop / "one.png").write_bytes(flat_png(3))
    (drop / "one.json").write_bytes(sidecar("S8", patient_id="MUELLER", accession_number="A1"))
    await until(result(gateway, "S8").exists)
    (drop / "two.png").write_bytes(flat_png(4))
    (drop / "two.json").write_bytes(sidecar("S8", patient_id="MEIER", accession_number="A1"))

    async def parked() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await client.get("/v1/parked")).json()["parked"]
        return found

    async def is_parked() -> bool:
        return len(await parked()) == 1

    await until(is_parked)
    [item] = await parked()
    assert (item["key"], item["study_id"]) == ("two.png", "S8")
    assert item["problem"]["type"] == "urn:radstream:problem:study-conflict"
    assert [fault["pointer"] for fault in item["problem"]["errors"]] == ["/patient_id"]
    assert "MUELLER" not in str(item)
    assert "MEIER" not in str(item)
    code, out, _ = await run_command("parked", "list", "--url", gateway.url)
    assert (code, out.splitlines()[0].split("  ", 2)[2]) == (0, "image  two.png  study S8")
    (drop / "two.json").write_bytes(sidecar("S8", patient_id="MUELLER", accession_number="A1"))
    answer = (await client.post(f"/v1/parked/{item['id']}/retry")).json()
    # Whichever is first: the retry, or the delivery of the mended sidecar itself.
    assert answer.get("status") == 404 or answer["study"] == "/v1/studies/S8"
    assert await parked() == []
    view = (await client.get("/v1/studies/S8")).json()
    assert len(view["images"]) == 2


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


async def test_half_copied_dicom_file_of_full_length_is_not_read(
    triton: EmbeddedTriton, tmp_path: Path
):
    drop = tmp_path / "drop"
    watched = DropFolderSettings(folder=drop, watch=True, settle_s=0.2, sweep_s=0.05)
    settings = settings_for(triton.grpc_url, tmp_path / "store").model_copy(
        update={"dropfolder": watched}
    )
    dataset = radiograph(StudyInstanceUID="1.2.3", Rows=200, Columns=300)
    dataset.PixelData = bytes(range(1, 251)) * 240
    whole = file_of(dataset)
    half = whole[:-40_000] + b"\0" * 40_000
    async with running_gateway(settings) as gateway:
        (drop / "WAITING").mkdir(parents=True)
        (drop / "WAITING/x.json").write_bytes(sidecar("WAITING"))

        async def is_waiting() -> bool:
            return await deliveries(gateway) == {"waiting": 1}

        await until(is_waiting)
        (drop / "ALONE").mkdir()
        for name in ("ALONE", "WAITING"):  # a sweep looks for what lies beside the sidecar
            (drop / name / "x.dcm").write_bytes(half)
        for number in range(2):
            drop_pair(drop, f"S{number}", flat_png(number))
            await until(result(gateway, f"S{number}").exists)
        for name in ("ALONE", "WAITING"):
            assert not result(gateway, name).exists()
            with (drop / name / "x.dcm").open("r+b") as file:
                file.write(whole)
        for name in ("ALONE", "WAITING"):
            await until(result(gateway, name).exists)
            [image] = json.loads(result(gateway, name).read_text())["images"]
            assert image["sha256"] == hashlib.sha256(whole).hexdigest()
        assert await parked(gateway) == []


# --- a restart ------------------------------------------------------------------------------------


async def parked(gateway: LiveGateway) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (await gateway.client.get("/v1/parked")).json()["parked"]
    return items


async def deliveries(gateway: LiveGateway) -> dict[str, float]:
    """Deliveries of the drop folder since the gateway's start, by outcome."""
    name = "radstream_dropfolder_deliveries_total"
    outcomes = ("processed", "duplicate", "waiting", "parked", "ignored")
    counts = {
        outcome: await gateway.metric(name, route="folder", outcome=outcome) for outcome in outcomes
    }
    return {outcome: count for outcome, count in counts.items() if count}


def drop_pair(drop: Path, study_id: str, image: bytes, name: str = "x", **changes: Any) -> None:
    (drop / study_id).mkdir(parents=True, exist_ok=True)
    (drop / study_id / f"{name}.png").write_bytes(image)
    (drop / study_id / f"{name}.json").write_bytes(sidecar(study_id, **changes))


async def test_restart_delivers_nothing_again(triton: EmbeddedTriton, tmp_path: Path):
    drop = tmp_path / "drop"
    watched = DropFolderSettings(folder=drop, watch=True, settle_s=0.2, sweep_s=0.5)
    settings = settings_for(triton.grpc_url, tmp_path / "store").model_copy(
        update={"dropfolder": watched}
    )
    for number in range(3):
        drop_pair(drop, f"S{number}", flat_png(number))
    for name in ("DISCARDED", "PARKED"):
        drop_pair(drop, name, flat_png(9)[:-20])
    (drop / "half.png").write_bytes(flat_png(8))
    async with running_gateway(settings) as gateway:

        async def is_done() -> bool:
            done = {"processed": 3, "parked": 2, "waiting": 1}
            return await deliveries(gateway) == done and len(await parked(gateway)) == 2

        await until(is_done)
        items = {item["key"]: item for item in await parked(gateway)}
        discarded = items["DISCARDED/x.png"]["id"]
        assert (await gateway.client.delete(f"/v1/parked/{discarded}")).is_success
    told = studies_told(settings)

    async with running_gateway(settings) as gateway:
        drop_pair(drop, "NEW", flat_png(7))
        await until(result(gateway, "NEW").exists)
        await until(lambda: studies_told(settings) == told + 1)

        async def is_new_alone() -> bool:  # told a moment after the result is stored
            return await deliveries(gateway) == {"processed": 1}

        await until(is_new_alone)
        assert await parked(gateway) == [items["PARKED/x.png"]]

        os.utime(drop / "DISCARDED/x.png")

        async def is_back() -> bool:
            return discarded in [item["id"] for item in await parked(gateway)]

        await until(is_back)
        (drop / "half.json").write_bytes(sidecar("HALF"))
        await until(result(gateway, "HALF").exists)
        assert [item for item in await parked(gateway) if item["id"] != discarded] == [
            items["PARKED/x.png"]
        ]


async def test_parked_image_is_told_in_its_study_beyond_a_restart_until_it_is_mended_or_discarded(
    triton: EmbeddedTriton, tmp_path: Path
):
    drop = tmp_path / "drop"
    watched = DropFolderSettings(folder=drop, watch=True, settle_s=0.2, sweep_s=0.5)
    settings = settings_for(triton.grpc_url, tmp_path / "store").model_copy(
        update={"dropfolder": watched}
    )
    good, broken = flat_png(3), flat_png(9)[:-20]
    drop_pair(drop, "S1", good, "good")
    drop_pair(drop, "S1", broken, "broken")
    (drop / "S1/alone.png").write_bytes(broken + b"x")

    async def told(gateway: LiveGateway) -> tuple[str, list[str]]:
        view = (await gateway.client.get("/v1/studies/S1")).json()
        missing = sorted(item["part"] for item in view.get("not_processed", ()))
        return view.get("status", ""), missing

    async def is_told(gateway: LiveGateway, *expected: object) -> None:
        async def is_so() -> bool:
            return await told(gateway) == expected

        await until(is_so)

    async with running_gateway(settings) as gateway:
        await is_told(gateway, "partial", ["alone.png", "broken.png"])
    async with running_gateway(settings) as gateway:
        drop_pair(drop, "NEW", flat_png(7))
        await until(result(gateway, "NEW").exists)
        assert await told(gateway) == ("partial", ["alone.png", "broken.png"])
        (drop / "S1/broken.png").write_bytes(flat_png(9))
        await is_told(gateway, "partial", ["alone.png"])
        [item] = await parked(gateway)
        assert (await gateway.client.delete(f"/v1/parked/{item['id']}")).is_success
        assert await told(gateway) == ("completed", [])


def studies_told(settings: Settings) -> int:
    """How many studies telemetry has been told the end of."""
    return sum(event["stage"] == "total" for event in events_in(settings.telemetry.folder))


async def test_gateway_takes_over_from_a_killed_one_at_once_and_in_order(
    triton: EmbeddedTriton, tmp_path: Path
):
    drop, store = tmp_path / "drop", tmp_path / "store"
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_HTTP__REQUEST_TIMEOUT_S": "600",  # nothing ends by the clock
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_STORE__FOLDER": str(store),
        "RADSTREAM_DROPFOLDER__FOLDER": str(drop),
        "RADSTREAM_DROPFOLDER__WATCH": "true",
        "RADSTREAM_DROPFOLDER__SETTLE_S": "0.2",
        "RADSTREAM_LIMITS__IMAGE_THREADS": "1",
    }
    async with running_command("serve", **variables) as command:
        await command.url()
        with suspended(triton):
            drop_pair(drop, "S1", flat_png(1), "later-in-the-alphabet", patient_id="1")
            await until(lambda: len(list(store.glob("results/*/images/*/image-*"))) == 1)
            drop_pair(drop, "S1", flat_png(2), "a", patient_id="2")
            for number in range(3, 6):
                drop_pair(drop, f"S{number}", flat_png(number))
            await until(lambda: len(list(store.glob("results/*/images/*/image-*"))) == 4)
            command.process.kill()
            await command.process.wait()
    drop_pair(drop, "NEW", flat_png(7))
    async with running_command("serve", **variables) as command:
        for name in ("NEW", "S1", "S3", "S4", "S5"):
            await until((store / f"results/{name}/result.json").exists)
        await until(lambda: len(list(store.glob("parked/*"))) == 1)
        assert await command.stop() == 0
    [item] = [json.loads(path.read_text()) for path in store.glob("parked/*")]
    assert (item["key"], item["problem"]["type"]) == (
        "S1/a.png",
        "urn:radstream:problem:study-conflict",
    )
    [image] = json.loads((store / "results/S1/result.json").read_text())["images"]
    assert image["sha256"] == hashlib.sha256(flat_png(1)).hexdigest()
