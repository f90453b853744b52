"""What stands on the registry before anything has happened, and what can never come to it."""

import secrets
from itertools import pairwise

import httpx
import imagecodecs
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from gateway.observability.metrics.buckets import SECONDS
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import LiveGateway, metadata, multipart
from tests.support.models import flat_png
from tests.support.series import BRIGHTNESS, allowed, series


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("radstream_telemetry_dropped_total", {"reason": "spool_full"}),
        ("radstream_inference_errors_total", {"error": "InferenceUnavailableError"}),
        ("radstream_inference_errors_total", {"error": "ContractError"}),
        ("radstream_callbacks_total", {"outcome": "given_up"}),
        ("radstream_auth_failures_total", {"reason": "unknown_key"}),
    ],
)
def test_what_alerts_rise_on_is_0_from_the_start(name: str, labels: dict[str, str]):
    """A counter whose first sample is 1 has not risen, as far as Prometheus knows."""
    assert Metrics(CollectorRegistry()).registry.get_sample_value(name, labels) == 0


def test_buckets_lie_where_studies_are():
    assert (SECONDS[0], SECONDS[-1]) == (0.001, 10.0)
    dense = [bound for bound in SECONDS if 0.01 <= bound <= 1]
    assert all(after <= 1.5001 * before for before, after in pairwise(dense))


async def test_a_sender_cannot_make_series(gateway: LiveGateway):
    """What is sent differs in every text from round to round; the series do not."""
    counts = []
    for _ in range(3):
        await _assail(gateway.client)
        counts.append(series((await gateway.client.get("/metrics")).text))
    # The first round's own reading of the metrics is counted after it.
    assert counts[2] == counts[1]
    assert counts[1] >= counts[0]
    sets = {
        f"{family}{suffix}": labels
        for family, labels in allowed(BRIGHTNESS).items()
        for suffix in ("", "_total", "_created", "_bucket", "_sum", "_count")
    }
    for name, labels in counts[2]:
        for label, value in labels:
            if label != "le" and name != "radstream_build_info":
                assert value in sets[name][label], (name, label, value)


async def _assail(client: httpx.AsyncClient) -> None:
    """Every text that a sender has a say in, made up anew."""
    text = secrets.token_hex
    for path in (f"/{text(8)}", f"/v1/{text(8)}/{text(8)}", f"/docs/assets/{text(4)}.js"):
        await client.get(path)
    for path in ("/v1/studies/{}", "/v1/studies/{}/images/1/heatmap.png", "/v1/parked/{}"):
        await client.get(path.format(text(8)))
    for method in (text(4).upper(), "BREW", "TRACE", "PROPFIND", "DELETE", "PUT", "OPTIONS"):
        await client.request(method, "/v1/studies")
    for accept in (f"application/openmetrics-text; version={text(4)}", text(4), "*/*"):
        assert (await client.get("/metrics", headers={"accept": accept})).status_code == 200
    headers = {
        "x-request-id": text(8),
        "traceparent": f"00-{text(16)}-{text(8)}-01",
        "user-agent": text(8),
        "content-type": f"{text(4)}/{text(4)}",
        "host": text(4),
        "x-api-key": text(8),
        "forwarded": f"for={text(4)}",
    }
    await client.post("/v1/studies", content=text(8), headers=headers)
    headers.pop("content-type")
    documents = [
        metadata(),
        metadata(model=text(4)),
        metadata(model=f"brightness/{text(4)}"),
        metadata(modality=text(4).upper(), body_part=text(4).upper()),
        metadata(view=text(4)),
        metadata(**{text(4): text(4)}),
        text(8).encode(),
    ]
    for document in documents:
        await client.post("/v1/studies", **multipart(document, flat_png(9)), headers=headers)
    for image in (jpeg(), file_of(radiograph(Modality=text(4))), text(8).encode()):
        await client.post("/v1/studies", **multipart(metadata(), image), headers=headers)
    part = {text(4): (text(4), flat_png(1), f"{text(4)}/{text(4)}")}
    await client.post("/v1/studies", files=part, headers=headers)
    event = {"source": text(4), "detail-type": text(4), "detail": {"bucket": {"name": text(4)}}}
    await client.post("/v1/events/s3", json=event, headers=headers)


def jpeg() -> bytes:
    return imagecodecs.jpeg8_encode(np.full((32, 32), 50, np.uint8))
