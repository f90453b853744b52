"""`radstream verify` as it is called: exit status, lines and where it looks."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.storage.s3 import S3Store
from tests.gateway.verification.test_store import DOCUMENT, OBJECT, fill
from tests.support.s3 import make_buckets, s3, store_settings
from tests.support.store import MemoryStore


def verify(*arguments: str, **settings: str) -> Result:
    env = {f"RADSTREAM_STORE__{name.upper()}": value for name, value in settings.items()}
    return CliRunner().invoke(main, ["verify", *arguments], env=env)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A store's folder, written as a copy of a store is: file by file."""
    memory = MemoryStore()
    await fill(memory)
    for key, data in memory.objects.items():
        path = tmp_path / "store" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "store"


def test_a_clean_folder_ends_with_status_0_and_stays_as_it_is(folder: Path):
    before = sorted(folder.rglob("*"))
    answer = verify(folder=str(folder))
    assert (answer.exit_code, answer.stdout) == (
        0,
        "studies: 1, objects: 22, faults: 0, notes: 0\n",
    )
    assert sorted(folder.rglob("*")) == before


def test_parts_of_tenants_are_looked_over_too(folder: Path, tmp_path: Path):
    shared = tmp_path / "shared"
    for tenant in ("north", "south"):
        shutil.copytree(folder, shared / "tenants" / tenant)
    answer = verify(folder=str(shared))
    assert (answer.exit_code, answer.stdout) == (
        0,
        "studies: 2, objects: 44, faults: 0, notes: 0\n",
    )
    (shared / "tenants/south" / OBJECT).write_bytes(b"another")
    faulty = verify(folder=str(shared))
    assert faulty.exit_code == 1
    assert f"fault  altered-image  tenants/south/{OBJECT}  " in faulty.stdout


def test_a_fault_ends_with_status_1_and_a_note_does_not(folder: Path):
    left = f"{OBJECT.rpartition('/')[0]}/image-ffffffff.png"
    (folder / left).write_bytes(b"what a gateway left that died")
    noted = verify(folder=str(folder))
    assert noted.exit_code == 0
    assert noted.stdout.startswith(f"note  orphan-object  {left}  ")
    (folder / OBJECT).write_bytes(b"another")
    answer = verify("--json", folder=str(folder))
    assert answer.exit_code == 1
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [(line["severity"], line["kind"], line["key"]) for line in lines] == [
        ("note", "orphan-object", left),
        ("fault", "altered-image", OBJECT),
    ]
    assert answer.stderr == "studies: 1, objects: 23, faults: 1, notes: 1\n"


def test_a_store_that_is_not_there_ends_with_status_2(tmp_path: Path):
    answer = verify(folder=str(tmp_path / "none"))
    assert answer.exit_code == 2
    assert answer.stderr == f"Error: there is no folder {tmp_path / 'none'}\n"
    assert not (tmp_path / "none").exists()


async def test_a_bucket_is_looked_over_as_a_folder_is(s3_url: str):
    settings = store_settings(s3_url)
    bucket = settings.results_bucket or ""
    async with s3(s3_url) as client:
        await make_buckets(client, settings)
        store = S3Store(client, bucket, timeout_s=20.0, encryption={})
        await fill(store)
        await store.delete(DOCUMENT)
    named = {
        "kind": "s3",
        "endpoint": s3_url,
        "region": "eu-central-1",
        "images_bucket": settings.images_bucket or "",
    }
    answer = await asyncio.to_thread(verify, **named, results_bucket=bucket)
    assert answer.exit_code == 1, answer.output
    assert f"fault  missing-object  {DOCUMENT}  It is not there" in answer.stdout
    missing = await asyncio.to_thread(verify, **named, results_bucket="no-such-bucket")
    assert missing.exit_code == 2
    assert "the store does not answer: NoSuchBucket" in missing.stderr
