"""Published repositories stay as they are."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from gateway.errors import (
    ContractError,
    ObjectNotFoundError,
)
from gateway.models.config_file import read_config
from gateway.models.fetch import fetch
from gateway.models.publish import publish
from tests.support.models import contract, write_model, write_version


async def keys(client: Any, bucket: str) -> dict[str, str]:
    """The keys in a bucket, and the ETag of each."""
    found = (await client.list_objects_v2(Bucket=bucket)).get("Contents", ())
    return {each["Key"]: each["ETag"] for each in found}


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


@pytest.mark.usefixtures("client")
async def test_another_version_is_published_beside_one_that_stays_as_it_is(
    bucket: str, tmp_path: Path
) -> None:
    model = write_model(tmp_path, document=contract())
    first = await publish(tmp_path, f"s3://{bucket}/models")
    write_version(model, "2", {"title": "Second"})
    second = await publish(tmp_path, f"s3://{bucket}/models")
    assert second != first
    # The same contract of both, divided otherwise.
    common = contract({"title": None, "output": {"activation_map": None}})
    document = contract()
    rest = {"title": "Brightness", "output": document["output"]}
    write_parameters(model, common, {"1": rest, "2": {**rest, "title": "Second"}})
    assert await publish(tmp_path, f"s3://{bucket}/models")
    write_parameters(model, common, {"1": {**rest, "title": "Other"}, "2": rest})
    with pytest.raises(ContractError, match="brightness/1 was published with other contents"):
        await publish(tmp_path, f"s3://{bucket}/models")


def write_parameters(
    folder: Path, common: dict[str, Any], overrides: dict[str, dict[str, Any]]
) -> None:
    """Write the contracts in a model's config.pbtxt anew."""
    config = read_config(folder)
    config.parameters["radstream"].string_value = json.dumps(common)
    for version, document in overrides.items():
        config.parameters[f"radstream.{version}"].string_value = json.dumps(document)
    (folder / "config.pbtxt").write_text(text_format.MessageToString(config))
