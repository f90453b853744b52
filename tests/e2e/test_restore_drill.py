"""A restore drill: a store in use is copied by `radstream backup`, lost and brought back."""

import asyncio
import datetime as dt
import json
import random
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from gateway.admission.day_counts import TenantDay
from gateway.dimse.commitment_work import OwedReport
from gateway.problems import problem_of
from gateway.results.asked_commitments import AskedCommitment, AskedCommitments
from gateway.results.completion import Arrival, arrived
from gateway.results.documents import StudyRecord
from gateway.results.instances import InstancePointer, Instances
from gateway.results.study_documents import StudyDocuments
from gateway.routing.canary_readings import CanaryReading, CanaryReadings
from gateway.schemas.result import RenderingKind
from gateway.schemas.routing_rules import RuleCompletion
from gateway.settings import CallbackSettings, DropFolderSettings, Settings
from gateway.storage.documents import create_document, read_or_none
from gateway.storage.folder import FolderStore
from gateway.storage.layout import COMMITMENTS
from gateway.triton.embedded import EmbeddedTriton
from gateway.work.claims import Claims
from gateway.work.entries import Entries
from gateway.work.keys import WorkId
from gateway.work.parked import Parking
from tests.support.completion import Promised, completions_on
from tests.support.gateway import (
    LiveGateway,
    brisk,
    metadata,
    multipart,
    run_command,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png, png
from tests.support.pairing import sidecar
from tests.support.receiver import Receiver, receiving

COPIES = 3


async def back_up(store: Path, backup: Path) -> None:
    """Run the command; the copy of the store is in the folder `store` of the backup."""
    settings = {"RADSTREAM_STORE__FOLDER": str(store), "RADSTREAM_AUDIT__FOLDER": f"{store}-audit"}
    code, out, err = await run_command("backup", str(backup), **settings)
    assert (code, err) == (0, ""), err
    assert re.fullmatch(r"studies: \d+, objects: \d+, bytes: \d+, unreadable: 0", out)


async def verified(folder: Path) -> list[str]:
    """The faults that `radstream verify` finds in a store's folder."""
    code, out, err = await run_command("verify", RADSTREAM_STORE__FOLDER=str(folder))
    faults = [line for line in out.splitlines() if line.startswith("fault")]
    assert code == bool(faults), err
    assert re.search(r"^studies: [1-9]", out, re.MULTILINE), out
    return faults


class Sender:
    """Sends studies one after another, in both ways, and adds a second image to each third."""

    def __init__(self, gateway: LiveGateway, receiver: Receiver, drop: Path) -> None:
        self._client = gateway.client
        self._drop = drop
        self._url = f"{receiver.url}/done"
        self._rng = random.Random(7)  # noqa: S311 - the same pictures every time
        self.number = 0
        self.sent: dict[str, tuple[dict[str, Any], list[bytes]]] = {}

    async def send(self) -> str:
        document = metadata()
        study_id: str = document["study_id"]
        self.number += 1
        number = self.number
        images = [self._image() for _ in range(1 + (number % 3 == 0))]
        headers = {}
        if number % 2:
            headers = {"Prefer": "respond-async", "RadStream-Callback": self._url}
        for image in images:
            answer = await self._client.post(
                "/v1/studies", **multipart(document, image), headers=headers
            )
            assert answer.status_code in {200, 202}, answer.text
        if number % 4 == 1:  # again: of this copy no reading comes
            answer = await self._client.post(
                "/v1/studies", **multipart(document, images[0]), headers=headers
            )
            assert answer.status_code == 202, answer.text
        self.sent[study_id] = document, images
        return study_id

    def _image(self) -> bytes:
        return png(np.frombuffer(self._rng.randbytes(32 * 32), np.uint8).reshape(32, 32))

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send, delete each fifth study again, park and mend dropped files, until the end."""

        stopping = False

        async def send_on() -> None:
            while not stopping:
                study_id = await self.send()
                if self.number % 5 == 0:
                    await self._client.delete(f"/v1/studies/{study_id}")
                    del self.sent[study_id]

        async def spoil_and_mend(name: str) -> None:
            folder = self._drop / name
            folder.mkdir()
            (folder / "x.json").write_bytes(sidecar(name))
            while not stopping:
                whole = self._image()
                (folder / "x.png").write_bytes(whole[:40])
                await until(lambda: self._is_parked(name))
                (folder / "x.png").write_bytes(whole)
                await until(lambda: self._is_mended(name))

        tasks = [asyncio.create_task(send_on())]
        tasks += [asyncio.create_task(spoil_and_mend(f"P{number}")) for number in range(3)]
        try:
            yield
        finally:
            stopping = True
            await asyncio.gather(*tasks)

    async def _is_parked(self, name: str) -> bool:
        parked = (await self._client.get("/v1/parked")).json()["parked"]
        return any(item["key"] == f"{name}/x.png" for item in parked)

    async def _is_mended(self, name: str) -> bool:
        return not await self._is_parked(name)


async def answers(client: httpx.AsyncClient, study_ids: list[str]) -> dict[str, Any]:
    found = {each: await client.get(f"/v1/studies/{each}") for each in study_ids}
    return {
        each: (answer.status_code, answer.json() | {"instance": None})  # which names the request
        for each, answer in found.items()
    }


def pending(gateway: LiveGateway) -> list[str]:
    return [
        key for key in gateway.stored() if key.startswith(("work/submissions/", "work/callbacks/"))
    ]


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """Study and delivery of each notice that came."""
    bodies = [json.loads(body) for _, _, body in receiver.came]
    return [(body["study_id"], body["delivery"]) for body in bodies]


@pytest.mark.timeout(600)  # it goes as fast as the machine starts processes
async def test_a_store_comes_back_from_a_copy_that_was_made_while_studies_came_in(
    triton: EmbeddedTriton, tmp_path: Path
):
    store, drop = tmp_path / "store", tmp_path / "drop"
    (drop / "S1").mkdir(parents=True)
    (drop / "S1/x.png").write_bytes(flat_png(255))
    (drop / "S1/x.json").write_bytes(sidecar("S1"))
    (drop / "S2").mkdir()
    (drop / "S2/x.png").write_bytes(flat_png(254)[:40])
    (drop / "S2/x.json").write_bytes(sidecar("S2"))
    async with receiving(tmp_path) as receiver:
        settings = _settings(triton, store, drop, receiver)
        async with running_gateway(settings) as gateway:
            await until(gateway.is_ready)
            sender = Sender(gateway, receiver, drop)
            known = ["S1", *[await sender.send() for _ in range(8)]]
            deleted = known.pop()
            del sender.sent[deleted]
            await until(lambda: len(told(receiver)) >= 4 and not pending(gateway))
            await gateway.client.delete(f"/v1/studies/{deleted}")

            async def is_parked() -> bool:
                return bool((await gateway.client.get("/v1/parked")).json()["parked"])

            await until(is_parked)
            await until((store / "results/S1/result.json").exists)
            before = await answers(gateway.client, [*known, deleted])
            parked = (await gateway.client.get("/v1/parked")).json()
            notices = told(receiver)
            async with sender.sending():
                for number in range(COPIES):
                    sent = sender.number
                    await until(lambda sent=sent: sender.number > sent)
                    await back_up(store, tmp_path / f"backup-{number}")
            await until(lambda: not pending(gateway))
        late = [each for each in sender.sent if each not in known]
        assert len(late) >= COPIES
        for number in range(COPIES):
            assert await verified(tmp_path / f"backup-{number}/store") == []

        shutil.rmtree(store)
        shutil.copytree(tmp_path / f"backup-{COPIES - 1}/store", store)
        assert await verified(store) == []
        async with running_gateway(settings) as gateway:
            await until(gateway.is_ready)
            assert await answers(gateway.client, [*known, deleted]) == before
            await until(lambda: not pending(gateway))
            for study_id, (document, images) in sender.sent.items():
                for image in images:
                    answer = await gateway.client.post("/v1/studies", **multipart(document, image))
                    assert answer.status_code == 200, answer.text
                    if study_id in known:
                        assert answer.headers["Idempotent-Replayed"] == "true"
            await until(lambda: not pending(gateway))

            async def is_parked_as_before() -> bool:
                return bool((await gateway.client.get("/v1/parked")).json() == parked)

            await until(is_parked_as_before)  # what was mended since is looked at again
            assert await answers(gateway.client, [*known, deleted]) == before
        assert await verified(store) == []
        # Of what had come to its end before the copy nobody was told again.
        assert [each for each in told(receiver) if each in notices] == notices
        assert {code for code, _ in before.values()} == {200, 410}


async def come(objects: FolderStore, study_id: str, rule: RuleCompletion) -> None:
    """Accept an image of a study that is to be complete after a quiet time, two hours ago."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
    arrival = Arrival(WorkId.new(study_id, at), at, None, rule)
    await completions_on(objects).open(arrival)

    def change(record: StudyRecord | None) -> StudyRecord:
        record = record or StudyRecord.begun(study_id)
        return record.changed(completion=arrived(record, arrival, has_entry=True))

    await StudyDocuments(objects).change(study_id, change)


async def test_studies_are_completed_and_held_after_a_restore(tmp_path: Path):
    objects = FolderStore(tmp_path / "store")
    await objects.open()
    await come(objects, "HELD", RuleCompletion(expected_views=("PA",), if_incomplete="hold"))
    await completions_on(objects).sweep()
    await come(objects, "OPEN", RuleCompletion())
    await back_up(tmp_path / "store", tmp_path / "backup")

    copy, promises = FolderStore(tmp_path / "backup/store"), Promised()
    await copy.open()
    completions = completions_on(copy)
    completions.follow(promises)
    await completions.sweep()
    assert promises.studies == ["OPEN"]
    [item] = await Parking(copy, problem_of).items(after="", limit=None)
    assert item.key == "results/HELD/completion/held"
    assert await copy.keys("work/completion/") == []


async def test_canaries_and_quotas_go_on_after_a_restore(tmp_path: Path):
    objects, key = FolderStore(tmp_path / "store"), f"work/canaries/{'0' * 32}.json"
    await objects.open()
    readings = CanaryReadings(readings=(CanaryReading(failed=True),))
    await create_document(objects, key, readings)
    day = TenantDay(objects)
    day.count(studies=3, size=700)
    await day.add()
    await back_up(tmp_path / "store", tmp_path / "backup")

    copy = FolderStore(tmp_path / "backup/store")
    await copy.open()
    assert await read_or_none(copy, CanaryReadings, key) == readings
    restored = TenantDay(copy)
    await restored.add()
    assert (restored.studies, restored.bytes) == (3, 700)


async def test_storage_commitment_goes_on_after_a_restore(tmp_path: Path):
    objects = FolderStore(tmp_path / "store")
    await objects.open()
    await come(objects, "KEPT", RuleCompletion())
    kept = InstancePointer(study_id="KEPT", sop_class_uid="1.2.3", submission_id="x")
    late = kept.model_copy(update={"study_id": "LATE"})  # whose document is not there yet
    asked = {}
    for pointer, uid in ((kept, "1.2.3.4"), (late, "1.2.3.5")):
        await Instances(objects).add(uid, pointer)
        request = AskedCommitment(
            destination="pacs",
            rendering=RenderingKind.STRUCTURED_REPORT,
            revision="r",
            sop_instance_uid=f"{uid}.1",
        )
        work = WorkId(pointer.study_id, "20260131T120000000000Z-00")
        asked[uid] = await AskedCommitments(objects).add(work, request)
        if pointer is late:  # a stray file goes with it
            folder = next((tmp_path / "store/work/asked").rglob(asked[uid]))
            (folder / "report.json").write_text("{}")
    owed = OwedReport(
        sender="ward",
        address="127.0.0.1",
        request_id="r",
        transaction_uid="1.2.9",
        references=(("1.2.3", "1.2.3.4"),),
    )
    reports = Entries(objects, kind=COMMITMENTS, document=OwedReport, claims=Claims(lease_s=60))
    await reports.add(WorkId("1.2.9", "20260131T120000000000Z-00"), owed)
    await back_up(tmp_path / "store", tmp_path / "backup")

    copy = FolderStore(tmp_path / "backup/store")
    await copy.open()
    assert await Instances(copy).find("1.2.3.4") == kept
    assert await copy.keys("instances/") == ["instances/1.2.3.4.json"]
    assert await AskedCommitments(copy).keep(asked["1.2.3.4"], ["1.2.3.4.1"], {})
    assert not await AskedCommitments(copy).keep(asked["1.2.3.5"], ["1.2.3.5.1"], {})
    [key] = await copy.keys("work/commitments/")
    assert await read_or_none(copy, OwedReport, key) == owed
    assert await verified(tmp_path / "backup/store") == []


def _settings(triton: EmbeddedTriton, store: Path, drop: Path, receiver: Receiver) -> Settings:
    callbacks = CallbackSettings(
        hosts=receiver.url.removeprefix("https://"),
        secret=SecretStr("a secret of more than thirty-two characters"),
        private_addresses=True,
        ca_file=receiver.ca_file,
    )
    watched = DropFolderSettings(folder=drop, watch=True, settle_s=0.3, sweep_s=0.5)
    settings = brisk(settings_for(triton.grpc_url, store), callbacks=callbacks)
    return settings.model_copy(update={"dropfolder": watched})
