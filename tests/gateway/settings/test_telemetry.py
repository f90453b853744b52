"""Telemetry: a stream's name and key."""

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from gateway.settings import TelemetrySettings


@pytest.mark.parametrize("given", [{}, {"stream_name": "s"}, {"study_ref_key": SecretStr("k")}])
def test_kinesis_needs_a_stream_and_a_key(given: dict[str, Any]):
    with pytest.raises(ValidationError, match="stream_name and study_ref_key"):
        TelemetrySettings(kind="kinesis", **given)
    TelemetrySettings(kind="kinesis", stream_name="s", study_ref_key=SecretStr("k"))
