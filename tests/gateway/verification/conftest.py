"""Stores to verify, a folder and a bucket."""

import pytest

from gateway.storage.protocol import ObjectStore


@pytest.fixture(params=["folder_store", "s3_store"])
def objects(request: pytest.FixtureRequest) -> ObjectStore:
    opened: ObjectStore = request.getfixturevalue(request.param)
    return opened
