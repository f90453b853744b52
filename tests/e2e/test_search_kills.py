"""Studies whose gateway is killed before it has written their entries are found all the same."""

from pathlib import Path

import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import client_of, metadata, multipart, running_command, until
from tests.support.models import flat_png


@pytest.mark.timeout(300)
async def test_studies_are_found_by_the_gateway_that_follows_one_that_was_killed(
    triton: EmbeddedTriton, tmp_path: Path
):
    store = tmp_path / "store"
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_STORE__FOLDER": str(store),
        "RADSTREAM_TELEMETRY__FOLDER": str(tmp_path / "telemetry"),
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(tmp_path / "spool"),
    }
    sent: list[str] = []
    for patient in range(3):
        async with (
            running_command("serve", **variables) as command,
            client_of(await command.url()) as client,
        ):
            document = metadata(patient_id=f"P-{patient}")
            answer = await client.post("/v1/studies", **multipart(document, flat_png(patient)))
            assert answer.status_code == 200, answer.text
            command.process.kill()
            await command.process.wait()
            sent.append(document["study_id"])
    assert not list(store.glob(f"index/by/patient-id/*/*{sent[-1]}*"))
    async with running_command("serve", **variables) as command:
        async with client_of(await command.url()) as client:

            async def found(query: str) -> list[str]:
                page = (await client.get(f"/v1/studies?{query}")).json()
                return [study["study_id"] for study in page["studies"]]

            async def are_found() -> bool:
                return await found("state=completed") == sent[::-1]

            await until(are_found)
            for patient, study_id in enumerate(sent):
                assert await found(f"patient_id=P-{patient}") == [study_id]
        assert await command.stop() == 0
