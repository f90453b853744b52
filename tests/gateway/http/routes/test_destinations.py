"""Destinations over HTTP are the operator's."""

from pathlib import Path

from gateway.access.callers import Scope
from gateway.settings import AccessSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import add_key
from tests.support.delivery import delivering, dicom
from tests.support.delivery_archives import TITLE
from tests.support.gateway import audit_trail, running_gateway, until


async def test_a_destination_is_shown_to_an_operator_alone(triton: EmbeddedTriton, tmp_path: Path):
    keys = tmp_path / "keys.json"
    reader, _ = add_key(keys, "reader", Scope.STUDIES_READ)
    operator, _ = add_key(keys, "operator", Scope.OPERATE)
    settings = delivering(triton.grpc_url, tmp_path, dicom("pacs", 104, host="pacs.example.org"))
    settings = settings.model_copy(update={"access": AccessSettings(key_file=keys)})
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)

        async def status(method: str, path: str, key: str) -> int:
            answer = await gateway.client.request(method, path, headers={"X-API-Key": key})
            return answer.status_code

        for method, path in (
            ("GET", "/v1/destinations"),
            ("GET", "/v1/rules"),
            ("POST", "/v1/destinations/pacs/test"),
        ):
            assert await status(method, path, reader) == 403
        assert await status("GET", "/v1/rules", operator) == 200
        answer = await gateway.client.get("/v1/destinations", headers={"X-API-Key": operator})
        assert answer.json() == {
            "destinations": [
                {
                    "name": "pacs",
                    "kind": "dicom",
                    "address": f"{TITLE} · pacs.example.org:104",
                    "renderings": ["structured-report"],
                    "state": "unused",
                    "waiting": 0,
                    "oldest_s": 0.0,
                    "parked": 0,
                    "acknowledged": 0,
                    "failed": 0,
                }
            ]
        }
        unknown = "/v1/destinations/none/test"
        assert await status("POST", unknown, operator) == 422
    # What tells of no study is recorded for who was refused alone.
    assert [
        (each["operation"], each["action"], each["agent"]["name"])
        for each in audit_trail(gateway.settings)
        if "/v1/" in each["operation"]
    ] == [
        ("GET /v1/destinations", "R", "reader"),
        ("GET /v1/rules", "R", "reader"),
        ("POST /v1/destinations/{name}/test", "E", "reader"),
        ("POST /v1/destinations/{name}/test", "E", "operator"),
    ]
