"""Clients of AWS, which fail as their callers say where they cannot be made."""

import pytest
from aiobotocore.config import AioConfig

from gateway.errors import StoreUnavailableError
from gateway.storage.aws_client import NO_ANSWER, aws_client
from tests.support.s3 import aws_environment


@pytest.fixture(autouse=True)
def _credentials():
    with aws_environment():
        yield


async def test_a_service_without_a_region_is_unavailable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    opened = aws_client(
        "kinesis",
        region=None,
        endpoint=None,
        config=AioConfig(),
        unavailable=StoreUnavailableError,
    )
    with pytest.raises(StoreUnavailableError, match="region"):
        async with opened:
            pass


async def test_a_service_that_is_not_there_gives_no_answer():
    config = AioConfig(connect_timeout=1, retries={"total_max_attempts": 1})
    async with aws_client(
        "kinesis",
        region="eu-central-1",
        endpoint="http://127.0.0.1:9",
        config=config,
        unavailable=StoreUnavailableError,
    ) as client:
        assert client.meta.region_name == "eu-central-1"
        with pytest.raises(NO_ANSWER):
            await client.list_streams()
