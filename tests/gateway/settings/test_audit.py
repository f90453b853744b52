"""The audit trail: the bucket that it needs."""

import pytest
from pydantic import ValidationError

from gateway.settings import AuditSettings


def test_a_trail_in_s3_needs_a_bucket():
    with pytest.raises(ValidationError, match="needs bucket"):
        AuditSettings(kind="s3")
    assert AuditSettings(kind="s3", bucket="audit-trail").bucket == "audit-trail"
