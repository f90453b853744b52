"""A manifest names files of its repository alone."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import UnreadableDocumentError
from gateway.models.fetch import fetch


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
