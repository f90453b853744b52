"""The audit trail goes where the settings say."""

import json
from pathlib import Path

import pytest

from gateway.app.lifespan.audit import open_audit
from gateway.errors import AuditUnavailableError
from gateway.settings import AuditSettings, StoreSettings
from tests.gateway.app.lifespan.conftest import InContext
from tests.support.audit import record


async def test_a_trail_in_files_lies_in_its_folder(in_context: InContext, tmp_path: Path):
    audit = await open_audit(in_context(audit=AuditSettings(folder=tmp_path / "trail")))
    await record(audit)
    [file] = (tmp_path / "trail").iterdir()
    assert json.loads(file.read_bytes())["instance"] == "here"


async def test_a_trail_in_a_bucket_is_not_in_files(in_context: InContext):
    store = StoreSettings(region="eu-central-1", endpoint="http://127.0.0.1:9", timeout_s=1)
    audit = await open_audit(
        in_context(audit=AuditSettings(kind="s3", bucket="trail"), store=store)
    )
    with pytest.raises(AuditUnavailableError):
        await record(audit)
