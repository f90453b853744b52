"""S3's events over HTTP: those of another bucket, of another kind, and none at all."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import LiveGateway, running_gateway, settings_for
from tests.support.s3 import make_buckets, s3, store_settings

EVENT = json.loads((Path(__file__).parents[3] / "data/events/image.json").read_text())


@pytest.fixture(scope="module")
async def bucketed(
    s3_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway on buckets, without a Triton, which no event here comes as far as."""
    store = store_settings(s3_url)
    async with s3(s3_url) as client:
        await make_buckets(client, store)
    settings = settings_for("127.0.0.1:1", tmp_path_factory.mktemp("bucketed") / "store")
    async with running_gateway(settings.model_copy(update={"store": store})) as gateway:
        yield gateway


def event(gateway: LiveGateway, **changes: Any) -> dict[str, Any]:
    bucket = {"name": gateway.settings.store.images_bucket}
    return EVENT | {"detail": EVENT["detail"] | {"bucket": bucket}} | changes


async def test_an_event_of_another_bucket_is_refused(bucketed: LiveGateway):
    answer = await bucketed.client.post("/v1/events/s3", json=EVENT)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:radstream:problem:foreign-bucket"


async def test_a_gateway_without_buckets_takes_no_events(gateway: LiveGateway):
    answer = await gateway.client.post("/v1/events/s3", json=EVENT)
    assert answer.json()["type"] == "urn:radstream:problem:foreign-bucket"


async def test_other_kinds_of_events_are_ignored(bucketed: LiveGateway):
    deleted = event(bucketed, **{"detail-type": "Object Deleted"})
    answer = await bucketed.client.post("/v1/events/s3", json=deleted)
    assert (answer.status_code, answer.json()["outcome"]) == (200, "ignored")


async def test_every_fault_of_what_is_no_event_is_told(bucketed: LiveGateway):
    answer = await bucketed.client.post("/v1/events/s3", json={"source": "aws.ec2"})
    assert answer.status_code == 422
    assert {"/source", "/id", "/detail"} <= {each["pointer"] for each in answer.json()["errors"]}


async def test_more_than_eventbridge_sends_is_refused(bucketed: LiveGateway):
    answer = await bucketed.client.post("/v1/events/s3", content=bytes(2**18 + 1))
    assert answer.status_code == 413
