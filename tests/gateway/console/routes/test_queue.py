"""Parked items are listed with their reason; ticked ones are retried or discarded together."""

import re
from pathlib import Path

import numpy as np

from gateway.settings import DropFolderSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.console.conftest import with_console
from tests.support.gateway import (
    LiveGateway,
    audit_trail,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png, png

BLANK = png(np.full((32, 32), 100, np.uint8))
ABSENT = "0" * 32


async def parked(console: LiveGateway) -> str:
    """The study_id of a study that was accepted and failed for good."""
    document = metadata()
    answer = await console.client.post(
        "/v1/studies", headers={"Prefer": "respond-async"}, **multipart(document, BLANK)
    )
    assert answer.status_code == 202, answer.text
    study_id: str = document["study_id"]

    async def has_failed() -> bool:
        result = (await console.client.get(f"/v1/studies/{study_id}")).json()
        return result["status"] == "failed"

    await until(has_failed)
    return study_id


async def items(console: LiveGateway) -> dict[str, str]:
    """The parked items of the page: study_id by id."""
    page = (await console.client.get("/console/queue")).text
    found = re.findall(r'name="item" value="([0-9a-f]{32})".*?results/([^/<]+)/', page, re.DOTALL)
    return {study_id: parked_id for parked_id, study_id in found}


async def test_items_are_discarded_together(console: LiveGateway):
    studies = [await parked(console), await parked(console)]
    found = await items(console)
    page = await console.client.get("/console/queue")
    assert "Blank image" in page.text
    assert f'href="/console/studies/{studies[0]}"' in page.text
    ids = [found[study_id] for study_id in studies]
    answer = await console.client.post("/console/queue/discard", data={"item": [*ids, ABSENT]})
    assert answer.headers["location"] == "/console/queue?done=2&failed=1"
    assert not set(studies) & set(await items(console))
    assert "Done: 2. Failed: 1." in (await console.client.get(answer.headers["location"])).text
    assert [
        (record["outcome"], record["action"])
        for record in audit_trail(console.settings)
        if record["operation"] == "POST /console/queue/discard"
        and set(studies) <= set(record["studies"])
    ] == [("partial", "D")]


async def test_an_item_is_retried(console: LiveGateway):
    study_id = await parked(console)
    item = (await items(console))[study_id]
    answer = await console.client.post("/console/queue/retry", data={"item": item})
    assert answer.headers["location"] == "/console/queue?done=1&failed=0"

    async def is_back() -> bool:  # it fails again, for the same reason
        return study_id in await items(console)

    await until(is_back)


async def test_halves_of_the_drop_folder_are_counted(
    triton: EmbeddedTriton, tmp_path: Path
) -> None:
    settings = with_console(settings_for(triton.grpc_url, tmp_path / "store"))
    dropped = DropFolderSettings(
        folder=tmp_path / "drop", watch=True, settle_s=0.1, doubtful_settle_s=0.1, sweep_s=0.2
    )
    (tmp_path / "drop" / "images").mkdir(parents=True)
    (tmp_path / "drop" / "images" / "alone.png").write_bytes(flat_png(200))
    settings = settings.model_copy(update={"dropfolder": dropped})
    async with running_gateway(settings) as gateway:

        async def is_counted() -> bool:
            return "at the last look: 1<" in (await gateway.client.get("/console/queue")).text

        await until(is_counted)
