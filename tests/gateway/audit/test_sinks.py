"""The audit trail's places: files that only grow, objects that are written once."""

import asyncio
import secrets
from pathlib import Path

import pytest

from gateway.audit.sinks import AuditFiles, AuditObjects
from gateway.errors import AuditUnavailableError
from gateway.storage.folder import FolderStore
from gateway.storage.s3 import S3Store, s3_client


def lines_in(folder: Path) -> list[bytes]:
    files = sorted(folder.iterdir(), key=lambda file: file.name)
    return [line for file in files for line in file.read_bytes().splitlines()]


async def test_lines_are_kept_in_order_and_a_full_file_is_followed_by_another(tmp_path: Path):
    files = AuditFiles(tmp_path / "audit", file_bytes=20)
    sent = [b"%08d" % number for number in range(7)]
    for line in sent:
        await files.append(line + b"\n")
    await files.close()
    assert lines_in(tmp_path / "audit") == sent
    assert [file.stat().st_size for file in sorted((tmp_path / "audit").iterdir())] == [27, 27, 9]


async def test_what_is_there_is_never_touched(tmp_path: Path):
    first = AuditFiles(tmp_path, file_bytes=100)
    await first.append(b"one\n")
    second = AuditFiles(tmp_path, file_bytes=100)  # another gateway, or this one after a restart
    await second.append(b"two\n")
    await first.append(b"three\n")
    await asyncio.gather(first.close(), second.close())
    assert sorted(lines_in(tmp_path)) == [b"one", b"three", b"two"]
    assert len(list(tmp_path.iterdir())) == 2


async def test_a_place_that_cannot_be_written_is_told_and_tried_again(tmp_path: Path):
    place = tmp_path / "audit"
    place.write_text("")
    files = AuditFiles(place, file_bytes=100)
    with pytest.raises(AuditUnavailableError):
        await files.append(b"one\n")
    place.unlink()
    await files.append(b"two\n")
    await files.close()
    assert lines_in(place) == [b"two"]


async def test_objects_are_written_once_each_under_its_day(tmp_path: Path):
    store = FolderStore(tmp_path)
    await store.open()
    objects = AuditObjects(store, instance="gateway-0")
    await asyncio.gather(*(objects.append(b"%d\n" % number) for number in range(3)))
    keys = await store.keys("audit/")
    assert len(keys) == 3
    for key in keys:
        _, day, name = key.split("/")
        assert len(day) == len("2026-01-31")
        assert name.endswith(".jsonl")
        assert "-gateway-0-" in name


async def test_a_bucket_keeps_the_trail_and_a_missing_one_is_told(s3_url: str):
    async with s3_client(
        region="us-east-1", endpoint=s3_url, connections=4, timeout_s=10
    ) as client:
        bucket = f"audit-{secrets.token_hex(6)}"
        store = S3Store(client, bucket, timeout_s=10, encryption={})
        objects = AuditObjects(store, instance="gateway-0")
        with pytest.raises(AuditUnavailableError):
            await objects.append(b"lost\n")
        await client.create_bucket(Bucket=bucket)
        await objects.append(b"kept\n")
        [key] = await store.keys("audit/")
        assert await store.read(key) == b"kept\n"
