"""`radstream models fetch`: Triton finds what was published, and nothing else."""

import secrets
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.errors import (
    InvalidKeyError,
    ObjectNotFoundError,
    StoreUnavailableError,
    UnreadableDocumentError,
)
from gateway.models.fetch import fetch
from gateway.models.publish import publish
from tests.gateway.models.published import FILES


@pytest.mark.usefixtures("client")
async def test_what_is_fetched_is_what_was_published(
    bucket: str, repository: Path, tmp_path: Path
) -> None:
    digest = await publish(repository, f"s3://{bucket}/models")
    fetched = await fetch(f"s3://{bucket}/models/{digest}", tmp_path / "fetched")
    assert {path.relative_to(tmp_path / "fetched").as_posix() for path in fetched} == FILES.keys()
    for name, data in FILES.items():
        assert (tmp_path / "fetched" / name).read_bytes() == data


@pytest.mark.usefixtures("client")
async def test_an_ensemble_gets_the_empty_version_that_s3_cannot_hold(
    bucket: str, repository: Path, tmp_path: Path
) -> None:
    digest = await publish(repository, f"s3://{bucket}/models/")
    target = tmp_path / "fetched"
    await fetch(f"s3://{bucket}/models/{digest}/", target)
    assert list((target / "both").glob("*/")) == [target / "both" / "1"]
    assert list((target / "plain").glob("*/")) == [target / "plain" / "1"]


@pytest.mark.parametrize("damaged", ["plain/1/model.onnx", "manifest.json"])
async def test_what_is_not_what_its_digest_says_is_refused(
    damaged: str, client: Any, bucket: str, repository: Path, tmp_path: Path
) -> None:
    digest = await publish(repository, f"s3://{bucket}/models")
    await client.put_object(Bucket=bucket, Key=f"models/{digest}/{damaged}", Body=b"evil")
    with pytest.raises(UnreadableDocumentError) as refused:
        await fetch(f"s3://{bucket}/models/{digest}", tmp_path / "fetched")
    assert refused.value.place == damaged
    assert not (tmp_path / "fetched" / damaged).exists()


@pytest.mark.parametrize("source", ["models/", "models/latest", "models/" + "0" * 63, ""])
async def test_a_source_without_a_digest_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidKeyError):
        await fetch(f"s3://bucket/{source}", tmp_path)


@pytest.mark.usefixtures("client")
async def test_nothing_there_is_an_error(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(ObjectNotFoundError):
        await fetch(f"s3://{bucket}/models/{'0' * 64}", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ObjectNotFoundError):
        await publish(tmp_path / "empty", f"s3://{bucket}/models")


@pytest.mark.usefixtures("client")
async def test_no_bucket_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
        await fetch(f"s3://absent-{secrets.token_hex(6)}/models/{'0' * 64}", tmp_path)


def test_the_command_refuses_what_is_no_bucket(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["models", "fetch", "bucket/models", str(tmp_path)])
    assert result.exit_code == 1
    assert "s3://BUCKET/PREFIX" in result.output
