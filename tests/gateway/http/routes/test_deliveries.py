"""Studies are brought to destinations as they complete, and again on demand."""

from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from gateway.triton.embedded import EmbeddedTriton
from tests.support.delivery import all_in, deliveries, delivering, dicom, stow, web
from tests.support.delivery_archives import archive, failed, web_archive
from tests.support.dicom import radiograph
from tests.support.gateway import LiveGateway, running_gateway, until

pytestmark = pytest.mark.server


async def test_a_complete_study_is_brought_to_each_destination_and_again_on_demand(
    triton: EmbeddedTriton, tmp_path: Path
):
    study = generate_uid()
    with archive(finds=True) as pacs:
        async with web_archive() as vna:
            settings = delivering(
                triton.grpc_url,
                tmp_path,
                dicom("pacs", pacs.port),
                web("vna", vna.url),
            )
            async with running_gateway(settings) as gateway:
                await until(gateway.is_ready)
                await stow(gateway.client, radiograph(StudyInstanceUID=study))
                await until(lambda: all_in(gateway.client, study, "confirmed"), 60)
                found = await deliveries(gateway.client, study)
                assert {item["destination"] for item in found} == {"pacs", "vna"}
                assert pacs.held == vna.held == {found[0]["objects"][0]: 1}
                path = f"/v1/studies/{study}/deliveries"
                answer = await gateway.client.post(path, params={"destination": "vna"})
                assert answer.status_code == 202, answer.text
                [item] = answer.json()["deliveries"]
                assert (item["destination"], item["state"]) == ("vna", "waiting")
                await until(lambda: vna.held.total() == 2, 60)
                assert len(vna.held) == 1
                answer = await gateway.client.post(path, params={"destination": "other"})
                assert answer.status_code == 422
                answer = await gateway.client.post("/v1/studies/unknown/deliveries")
                assert answer.status_code == 404


async def test_a_refused_result_is_retried_and_discarded_by_the_operator(
    triton: EmbeddedTriton, tmp_path: Path
):
    study = generate_uid()
    async with web_archive() as vna:
        vna.answers = [(409, failed("1.2", 0xC000), {})] * 2
        settings = delivering(triton.grpc_url, tmp_path, web("vna", vna.url))
        # The failed item names another object: the status alone counts.
        async with running_gateway(settings) as gateway:
            await until(gateway.is_ready)
            await stow(gateway.client, radiograph(StudyInstanceUID=study))
            await until(lambda: all_in(gateway.client, study, "parked"), 60)
            [item] = await deliveries(gateway.client, study)
            assert "status 409" in item["problem"]["detail"]
            answer = await gateway.client.post(f"/v1/parked/{item['parked']}/retry")
            assert answer.json()["outcome"] == "pending"
            await until(lambda: has_attempts(gateway, study, 2), 60)
            await until(lambda: all_in(gateway.client, study, "parked"), 60)
            answer = await gateway.client.delete(f"/v1/parked/{item['parked']}")
            assert answer.status_code == 204
            assert await deliveries(gateway.client, study) == []


async def has_attempts(gateway: LiveGateway, study: str, count: int) -> bool:
    found = await deliveries(gateway.client, study)
    return bool(found) and found[0]["attempts"] == count
