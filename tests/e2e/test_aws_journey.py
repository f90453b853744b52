"""A study's whole way through AWS, as deployed: bucket, event, queue, forwarder, gateway, result.

The stack is the packaged one in an emulator's CloudFormation; the forwarder runs from its archive
in a process of its own and reaches the gateway over TLS; the gateway is a process before a real
Triton. Nothing hands an event on by hand.
"""

import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from gateway.settings import StoreSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.aws import Ministack, deploy, package, running_ministack
from tests.support.dropfolder import Bucket, replicas
from tests.support.gateway import until
from tests.support.models import flat_png
from tests.support.pairing import sidecar
from tests.support.s3 import aws_environment, s3
from tests.support.tls import TlsFront, tls_front


@pytest.fixture(scope="module")
async def front(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TlsFront]:
    """What the forwarder is told is the gateway."""
    async with tls_front(tmp_path_factory.mktemp("tls")) as front:
        yield front


@pytest.fixture(scope="module")
def ministack(front: TlsFront, tmp_path_factory: pytest.TempPathFactory):
    """An emulator whose functions trust the front."""
    folder = tmp_path_factory.mktemp("ministack")
    with (
        aws_environment(),
        running_ministack(folder, {"SSL_CERT_FILE": str(front.ca_file)}) as ministack,
    ):
        yield ministack


@pytest.fixture(scope="module")
async def bucket(
    triton: EmbeddedTriton,
    front: TlsFront,
    ministack: Ministack,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Bucket]:
    """The deployed buckets, with a gateway behind the deployed forwarder."""
    packaged = package(tmp_path_factory.mktemp("dev"), stage="dev")
    outputs = deploy(ministack, packaged, GatewayUrl=front.url)
    store = StoreSettings(
        kind="s3",
        endpoint=ministack.url,
        images_bucket=outputs["ImagesBucketName"],
        results_bucket=outputs["ResultsBucketName"],
    )
    async with replicas(1, triton.grpc_url, store) as (gateway,), s3(ministack.url) as client:
        front.port = urlsplit(str(gateway.client.base_url)).port
        yield Bucket(client, store)


async def result_of(bucket: Bucket, study_id: str) -> dict[str, object]:
    """The study's result, once it lies in the results bucket."""
    key = f"results/{study_id}/result.json"

    async def is_there() -> bool:
        return key in await bucket.kept(f"results/{study_id}/")

    await until(is_there, timeout_s=90)
    result: dict[str, object] = await bucket.document(key)
    return result


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("study_id", "name", "image_first"),
    [("J-1", "study", True), ("J-2", "left + right 100%", False), ("J-3", "Übersicht 胸部", True)],
)
async def test_dropped_study_comes_back_as_a_result(
    bucket: Bucket, study_id: str, name: str, image_first: bool
):
    halves = [("png", flat_png(255)), ("json", sidecar(study_id))]
    for extension, data in halves if image_first else reversed(halves):
        await bucket.put(f"images/{study_id}/{name}.{extension}", data)
    result = await result_of(bucket, study_id)
    [image] = json.loads(json.dumps(result["images"]))
    [reading] = image["readings"]
    assert reading["findings"][0]["probability"] == pytest.approx(0.982, abs=0.001)
    assert (result["schema"], result["disclaimer"]) == (
        "radstream.result/2",
        "Not for clinical use.",
    )


@pytest.mark.timeout(240)
async def test_damaged_study_is_parked_once(bucket: Bucket):
    await bucket.put("images/J-9/x.json", sidecar("J-9"))
    await bucket.put("images/J-9/x.png", flat_png(1)[:-20])

    async def is_parked() -> bool:
        return len(await bucket.kept("parked/")) == 1

    await until(is_parked, timeout_s=90)
    [key] = await bucket.kept("parked/")
    item = await bucket.document(key)
    assert item["problem"]["type"] == "urn:radstream:problem:unreadable-image"
    assert item["key"] == "images/J-9/x.png"
