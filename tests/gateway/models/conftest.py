"""A registry before a scripted Triton, and a bucket for repositories."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.models.registry import ModelRegistry
from tests.gateway.models.published import FILES
from tests.gateway.models.registered import registered
from tests.support.inference import (
    ScriptedTriton,
    serving,
)
from tests.support.s3 import s3


@pytest.fixture
async def scripted() -> AsyncIterator[tuple[ScriptedTriton, ModelRegistry]]:
    triton = ScriptedTriton()
    async with serving(triton) as url, registered(url, probe_timeout_s=1) as registry:
        yield triton, registry


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
