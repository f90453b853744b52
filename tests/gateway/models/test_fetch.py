"""`radstream models publish` and `fetch`: what Triton finds is what was published."""

import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from gateway.errors import (
    ContractError,
    InvalidKeyError,
    ObjectNotFoundError,
    StoreUnavailableError,
    UnreadableDocumentError,
)
from gateway.models.fetch import fetch
from gateway.models.publish import publish
from tests.support.s3 import s3

FILES = {
    "plain/config.pbtxt": b'name: "plain"',
    "plain/1/model.onnx": bytes(range(256)) * 9000,  # more than one piece
    "plain/README.md": b"card",
    "both/config.pbtxt": b'platform: "ensemble"',
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


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "model_repository"
    for name, data in {**FILES, ".git/config": b"", "plain/__pycache__/x.pyc": b""}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


async def keys(client: Any, bucket: str) -> dict[str, str]:
    """The keys in a bucket, and the ETag of each."""
    found = (await client.list_objects_v2(Bucket=bucket)).get("Contents", ())
    return {each["Key"]: each["ETag"] for each in found}


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


async def test_published_files_are_never_written_over(
    client: Any, bucket: str, repository: Path
) -> None:
    first = await publish(repository, f"s3://{bucket}/models")
    before = await keys(client, bucket)
    assert f"models/{first}/manifest.json" in before
    assert await publish(repository, f"s3://{bucket}/models") == first
    assert await keys(client, bucket) == before
    (repository / "plain/README.md").write_bytes(b"another card")
    second = await publish(repository, f"s3://{bucket}/models")
    assert second != first
    after = await keys(client, bucket)
    assert before.items() <= after.items()
    assert len(after) == 2 * len(before)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("changed", "version"),
    [
        ("plain/1/model.onnx", "plain/1"),
        ("plain/config.pbtxt", "plain/1"),
        ("both/config.pbtxt", "both/1"),
    ],
)
async def test_a_version_has_one_content(
    changed: str, version: str, bucket: str, repository: Path
) -> None:
    await publish(repository, f"s3://{bucket}/models")
    (repository / changed).write_bytes(b"other")
    with pytest.raises(ContractError, match=f"{version} was published with other contents"):
        await publish(repository, f"s3://{bucket}/models")
    if changed.startswith("plain"):
        (repository / "plain/1").rename(repository / "plain/2")
        assert await publish(repository, f"s3://{bucket}/models")


async def test_an_upload_that_broke_off_is_taken_up_again(
    client: Any, bucket: str, repository: Path, tmp_path: Path
) -> None:
    digest = await publish(repository, f"s3://{bucket}/models")
    await client.delete_object(Bucket=bucket, Key=f"models/{digest}/manifest.json")
    with pytest.raises(ObjectNotFoundError):
        await fetch(f"s3://{bucket}/models/{digest}", tmp_path / "fetched")
    assert await publish(repository, f"s3://{bucket}/models") == digest
    assert await fetch(f"s3://{bucket}/models/{digest}", tmp_path / "fetched")


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


async def test_a_manifest_may_not_lead_out_of_the_repository(
    client: Any, bucket: str, tmp_path: Path
) -> None:
    file = {"path": "../../x", "sha256": "0" * 64, "size": 3}
    document = json.dumps({"schema": "radstream.models/1", "files": [file]}).encode()
    digest = hashlib.sha256(document).hexdigest()
    await client.put_object(Bucket=bucket, Key=f"models/{digest}/manifest.json", Body=document)
    with pytest.raises(UnreadableDocumentError, match="leads out of the repository"):
        await fetch(f"s3://{bucket}/models/{digest}", tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


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
