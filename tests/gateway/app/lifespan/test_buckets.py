"""Buckets share their client and the encryption of what is written."""

from gateway.app.lifespan.buckets import open_buckets
from gateway.settings import StoreSettings
from tests.gateway.app.lifespan.conftest import InContext


async def test_buckets_share_a_client_and_the_encryption(in_context: InContext):
    store = StoreSettings(region="eu-central-1", sse="aws:kms", kms_key_id="alias/radstream")
    first, second = await open_buckets(in_context(store=store), "results", "images")
    assert (first._bucket, second._bucket) == ("results", "images")
    assert first._client is second._client
    for bucket in (first, second):
        config = bucket._objects._bucket.config
        assert config["sse_kms_key_id"] == "alias/radstream"
