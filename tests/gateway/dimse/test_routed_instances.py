"""Instances go by the rules of the routing document: by their sender's title, and not at all."""

import asyncio
import json
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from gateway.settings import RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import radiograph
from tests.support.dimse import (
    associated,
    dimse_settings,
    running_listener,
    secondary_capture,
    store,
)
from tests.support.gateway import audit_trail, until

SENDERS = [
    {"name": title.lower(), "ae_title": title, "addresses": ["127.0.0.0/8"]}
    for title in ("DX3", "CT4")
]
DOCUMENT: dict[str, Any] = {
    "schema": "radstream.routing/1",
    "senders": SENDERS,
    "rules": [{"name": "dx", "when": {"field": "ae_title", "glob": "DX*"}}],
}
CONTEXTS = [
    (DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian),
    (SecondaryCaptureImageStorage, ExplicitVRLittleEndian),
]


async def test_an_instance_is_refused_where_no_rule_takes_it(
    triton: EmbeddedTriton, tmp_path: Path
):
    file = tmp_path / "routing.json"
    file.write_text(json.dumps(DOCUMENT))
    settings = dimse_settings(tmp_path, triton.grpc_url)
    settings = settings.model_copy(update={"routing": RoutingSettings(file=file)})
    taken = radiograph()

    def sent(listener_port: int, title: str, dataset: Dataset) -> int:
        with associated(listener_port, *CONTEXTS, calling=title) as association:
            assert association.is_established
            return int(store(association, dataset).Status)

    async with running_listener(settings) as listener:
        statuses = [
            await asyncio.to_thread(sent, listener.port, title, dataset)
            for title, dataset in (
                ("DX3", taken),
                ("CT4", radiograph()),
                ("DX3", secondary_capture()),
            )
        ]
        assert statuses == [0x0000, 0x0122, 0x0122]

        async def is_read() -> bool:
            path = f"/v1/studies/{taken.StudyInstanceUID}"
            answer = await listener.gateway.client.get(path)
            return answer.is_success and bool(answer.json()["images"])

        await until(is_read)
    unrouted = [each["unrouted"] for each in audit_trail(settings) if "unrouted" in each]
    assert unrouted == ["no_rule", "kept_out"]
