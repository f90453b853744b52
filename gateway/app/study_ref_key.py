"""The key of the hashes that stand for studies in logs and telemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.observability.pseudonyms import KEY_FILE
from gateway.runtime.secret_file import kept_secret

if TYPE_CHECKING:
    from gateway.settings import TelemetrySettings

log = structlog.get_logger()


def study_ref_key(telemetry: TelemetrySettings) -> str | None:
    """Return the key, the same after a restart where it is set or files keep it; None without one.

    Events that are derived again after a kill have their ids by these hashes.
    """
    if telemetry.study_ref_key is not None:
        return telemetry.study_ref_key.get_secret_value()
    if telemetry.kind == "file":
        try:
            return kept_secret(telemetry.spool_folder / KEY_FILE)
        except OSError:
            log.warning("telemetry.key_not_kept")
    return None
