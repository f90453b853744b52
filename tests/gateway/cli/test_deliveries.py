"""`radstream deliveries`: what became of results, in lines, and once more on demand."""

import json
from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from gateway.triton.embedded import EmbeddedTriton
from tests.support.delivery import all_in, delivering, stow, web
from tests.support.delivery_archives import web_archive
from tests.support.dicom import radiograph
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    run_command,
    running_gateway,
    until,
)
from tests.support.models import flat_png

pytestmark = pytest.mark.server


async def test_deliveries_are_listed_and_made_again(triton: EmbeddedTriton, tmp_path: Path):
    study = generate_uid()
    async with web_archive() as vna:
        settings = delivering(triton.grpc_url, tmp_path, web("vna", vna.url))
        async with running_gateway(settings) as gateway:
            await until(gateway.is_ready)
            await stow(gateway.client, radiograph(StudyInstanceUID=study))
            await until(lambda: all_in(gateway.client, study, "confirmed"), 60)
            at = ("--url", gateway.url)
            code, out, _ = await run_command("deliveries", "list", study, *at)
            assert code == 0
            assert out.endswith("vna  structured-report  confirmed  1 attempts")
            _, out, _ = await run_command("deliveries", "list", study, "--json", *at)
            assert json.loads(out.splitlines()[-1])["state"] == "confirmed"
            only = ("--destination", "vna", "--rendering", "structured-report")
            code, out, _ = await run_command("deliveries", "resend", study, *only, *at)
            assert (code, out) == (0, f"{study}  vna  structured-report  waiting")
            await until(lambda: vna.held.total() == 2, 60)
            _, out, _ = await run_command("deliveries", "resend", study, "--json", *only, *at)
            assert json.loads(out)["study_id"] == study


async def test_a_study_that_is_not_there_is_told(gateway: LiveGateway):
    code, _, err = await run_command("deliveries", "resend", "unknown", "--url", gateway.url)
    assert code == 1
    assert "unknown" not in err
    assert "No such study" in err or "not found" in err.lower()


async def test_a_study_without_a_destination_is_told(gateway: LiveGateway):
    document = metadata()
    answer = await gateway.client.post("/v1/studies", **multipart(document, flat_png(255)))
    assert answer.status_code == 200
    command = ("deliveries", "resend", document["study_id"], "--url", gateway.url)
    told = f"{document['study_id']}: no destination gets its results"
    assert await run_command(*command) == (1, "", told)
    found = await run_command(*command, "--json", "--rendering", "oru")
    assert found == (1, "", f"{told} as oru")
