"""The store: the buckets and the key that belong to S3."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings import StoreSettings

BUCKETS = {"images_bucket": "images", "results_bucket": "results"}


@pytest.mark.parametrize("name", BUCKETS)
def test_s3_needs_both_buckets(name: str):
    with pytest.raises(ValidationError, match="images_bucket and results_bucket"):
        StoreSettings(kind="s3", **{name: BUCKETS[name]})
    assert StoreSettings(kind="s3", **BUCKETS).kind == "s3"


def test_a_key_is_for_its_own_kind_of_encryption():
    key: dict[str, Any] = {"kms_key_id": "alias/radstream"}
    for sse in (None, "AES256"):
        with pytest.raises(ValidationError, match="needs sse aws:kms"):
            StoreSettings(sse=sse, **key)
    assert StoreSettings(sse="aws:kms", **key).kms_key_id
