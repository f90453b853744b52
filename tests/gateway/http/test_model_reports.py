"""A model version is reported with its acceptance as it holds now, naming no study."""

import base64
import datetime as dt
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.acceptance.signature import signed
from gateway.schemas.acceptance import AcceptancePage
from gateway.settings import AcceptanceSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.acceptance.test_signature import written
from tests.support.gateway import LiveGateway, running_gateway, settings_for, until

PATH = "/v1/models/brightness/versions/1"
POINT = {
    "threshold": 0.5,
    "true_positive": 45,
    "false_negative": 5,
    "false_positive": 10,
    "true_negative": 40,
    "sensitivity": {"value": 0.9, "low": 0.79, "high": 0.96},
    "specificity": {"value": 0.8, "low": 0.67, "high": 0.89},
}


def page_of(contract_sha256: str) -> str:
    """An acceptance page with figures, which names studies."""
    version: dict[str, Any] = {
        "name": "brightness",
        "version": "1",
        "title": "Brightness",
        "contract_sha256": contract_sha256,
        "read": 100,
        "labels": [
            {
                "label": "bright",
                "studies": 100,
                "positive": 50,
                "is_enough": True,
                "auc": {"value": 0.95, "low": 0.9, "high": 0.98},
                "operating_point": POINT,
                "missed": ["secret-study"],
            }
        ],
        "not_applicable": [{"study": "secret-study", "reason": "blank"}],
    }
    other = version | {"version": "2"}
    return AcceptancePage.model_validate(
        {
            "made_at": dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
            "gateway_version": "0.1.0",
            "studies": 101,
            "data_sha256": "0" * 64,
            "labels_sha256": "0" * 64,
            "versions": [version, other],
            "differences": [
                {"label": "bright", "studies": 90, "only_first_right": 3, "only_second_right": 1}
            ],
        }
    ).model_dump_json(by_alias=True)


async def accepted(gateway: LiveGateway, key: Path | None = None) -> dict[str, Any]:
    """The report after the version was accepted."""
    before = (await gateway.client.get(PATH)).json()
    assert "acceptance" not in before
    page = page_of(before["contract_sha256"])
    sent = {"page": page, "accepted_by": "Dr. A"}
    if key is not None:
        sent["signature"] = base64.b64encode(signed(page.encode(), key)).decode()
    answer = await gateway.client.post(f"{PATH}/acceptance", json=sent)
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = (await gateway.client.get(PATH)).json()
    return report


async def test_a_version_is_shown_with_the_figures_that_it_was_accepted_for(
    triton: EmbeddedTriton, tmp_path: Path
):
    async with running_gateway(settings_for(triton.grpc_url, tmp_path / "store")) as gateway:
        await until(gateway.is_ready)
        report = await accepted(gateway)
        listed = (await gateway.client.get("/v1/models")).json()["models"]
        unknown = await gateway.client.get("/v1/models/brightness/versions/7")
    acceptance = report["acceptance"]
    assert (report["is_accepted"], acceptance["accepted_by"]) == (True, "Dr. A")
    assert acceptance["signature"] == "none"
    figures = acceptance["figures"]
    assert (figures["studies"], figures["read"], figures["not_applicable"]) == (101, 100, 1)
    [label] = figures["labels"]
    assert label["auc"] == {"value": 0.95, "low": 0.9, "high": 0.98}
    assert label["operating_point"] == POINT
    assert figures["compared_with"] == "brightness 2"
    assert figures["differences"][0]["only_first_right"] == 3
    assert "secret-study" not in json.dumps(report)
    assert [each for each in listed if each["name"] == "brightness"] == [
        {name: value for name, value in report.items() if name not in {"acceptance", "agreement"}}
    ]
    assert unknown.json()["type"] == "urn:radstream:problem:unknown-model"


async def test_a_stored_page_that_was_changed_has_no_valid_signature(
    triton: EmbeddedTriton, tmp_path: Path
):
    key = written(tmp_path / "key.pem", Ed25519PrivateKey.generate())
    settings = settings_for(triton.grpc_url, tmp_path / "store").model_copy(
        update={"acceptance": AcceptanceSettings(key_file=key.with_suffix(".pub"))}
    )
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        assert (await accepted(gateway, key))["acceptance"]["signature"] == "valid"
        [stored] = (tmp_path / "store").rglob("acceptances/**/*.json")
        document = json.loads(stored.read_text())
        document["page"] = document["page"].replace("0.95", "0.99")
        stored.write_text(json.dumps(document))
        report = (await gateway.client.get(PATH)).json()
        assert report["acceptance"]["signature"] == "invalid"
        document["page"] = "{}"
        stored.write_text(json.dumps(document))
        report = (await gateway.client.get(PATH)).json()
        assert report["is_accepted"]
        assert "figures" not in report["acceptance"]
