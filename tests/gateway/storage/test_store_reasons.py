"""The log says why a store failed: in the system's words or S3's own code, and with no key."""

import resource
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from gateway.errors import InvalidKeyError, ObjectNotFoundError, StoreUnavailableError, log_fields
from gateway.triton.embedded import EmbeddedTriton
from tests.preprocess import pngs
from tests.support.gateway import metadata, multipart, running_gateway, settings_for, until

NOISE = pngs.write(np.random.default_rng(1).integers(0, 256, (512, 512), np.uint8))


async def test_a_study_that_cannot_be_stored_has_the_reason_in_the_log(
    triton: EmbeddedTriton, tmp_path: Path
):
    store = tmp_path / "store"
    async with running_gateway(settings_for(triton.grpc_url, store)) as gateway:
        await until(gateway.is_ready)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        with capture_logs() as events:
            # As a full disk or a quota; the audit trail's lines are shorter.
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
            try:
                answer = await gateway.client.post("/v1/studies", **multipart(metadata(), NOISE))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:radstream:problem:store-failed"
    told = {event["event"]: event.get("reason") for event in events}
    assert told["study.failed"] == told["store.failed"] == "File too large"


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (
            StoreUnavailableError("SlowDown"),
            {"error": "StoreUnavailableError", "reason": "SlowDown"},
        ),
        (InvalidKeyError("it is empty"), {"error": "InvalidKeyError", "reason": "it is empty"}),
        (ObjectNotFoundError(), {"error": "ObjectNotFoundError"}),
    ],
)
def test_an_error_of_the_store_is_told_with_its_reason(error, fields):
    assert log_fields(error) == fields
