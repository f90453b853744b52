"""`radstream models fetch` lays out what a bucket has as Triton wants it."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.errors import InvalidKeyError, ObjectNotFoundError, StoreUnavailableError
from gateway.model_fetch import fetch
from tests.support.s3 import s3

FILES = {
    "models/plain/config.pbtxt": b'name: "plain"',
    "models/plain/1/model.onnx": bytes(range(256)) * 9000,  # more than one piece
    "models/plain/README.md": b"card",
    "models/both/config.pbtxt": b'platform: "ensemble"',
    "models/empty/": b"",
    "other/models/x": b"not asked for",
}


@pytest.fixture
async def client(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_url)
    async with s3(s3_url) as client:
        yield client


@pytest.fixture
async def bucket(client: Any) -> str:
    name = f"artifacts-{secrets.token_hex(6)}"
    await client.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    return name


async def fill(client: Any, bucket: str, files: dict[str, bytes]) -> None:
    for key, data in files.items():
        await client.put_object(Bucket=bucket, Key=key, Body=data)


async def test_files_lie_below_the_repository_as_they_lie_below_the_prefix(
    client: Any, bucket: str, tmp_path: Path
) -> None:
    await fill(client, bucket, FILES)
    fetched = await fetch(f"s3://{bucket}/models/", tmp_path / "repository")
    expected = {
        tmp_path / "repository" / key.removeprefix("models/"): data
        for key, data in FILES.items()
        if key.startswith("models/") and data
    }
    assert fetched == sorted(expected)
    assert {path: path.read_bytes() for path in fetched} == expected


async def test_an_ensemble_gets_the_empty_version_that_s3_cannot_hold(
    client: Any, bucket: str, tmp_path: Path
) -> None:
    await fill(client, bucket, FILES)
    await fetch(f"s3://{bucket}/models/", tmp_path)
    assert list((tmp_path / "both").glob("*/")) == [tmp_path / "both" / "1"]
    assert list((tmp_path / "plain").glob("*/")) == [tmp_path / "plain" / "1"]


async def test_a_key_may_not_lead_out_of_the_repository(
    client: Any, bucket: str, tmp_path: Path
) -> None:
    await fill(client, bucket, {"models/../../x": b"out"})
    with pytest.raises(InvalidKeyError):
        await fetch(f"s3://{bucket}/models/", tmp_path / "repository")
    assert list(tmp_path.iterdir()) == []


async def test_nothing_there_is_an_error(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError):
        await fetch(f"s3://{bucket}/models/", tmp_path)


@pytest.mark.usefixtures("client")
async def test_no_bucket_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
        await fetch(f"s3://absent-{secrets.token_hex(6)}/models/", tmp_path)


def test_the_command_refuses_what_is_no_bucket(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["models", "fetch", "bucket/models", str(tmp_path)])
    assert result.exit_code == 1
    assert "s3://BUCKET/PREFIX" in result.output
