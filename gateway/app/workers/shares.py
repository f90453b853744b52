"""The settings of each process of a gateway: its share of what is for all together."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from gateway.app.spool_folders import spool_of
from gateway.app.study_ref_key import study_ref_key

if TYPE_CHECKING:
    from pydantic import BaseModel

    from gateway.settings import Settings


def with_shared_secrets(settings: Settings) -> Settings:
    """Return the settings with those keys that every process would else make up for itself."""
    session_keys = settings.console.session_keys or (
        SecretStr(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
    )
    key = study_ref_key(settings.telemetry) or secrets.token_hex(32)
    return _changed(
        settings,
        console={"session_keys": session_keys},
        telemetry={"study_ref_key": SecretStr(key)},
    )


def share_of(settings: Settings, number: int) -> Settings:
    """Return the settings of one process: its share of the limits, and a spool of its own.

    Connections are handed out evenly, so equal shares are used up together by what comes over HTTP.

    Parameters
    ----------
    settings
        Settings of the gateway.
    number
        Number of the process, from 1.
    """
    count = settings.http.workers
    http, admission, shadow = settings.http, settings.admission, settings.shadow
    telemetry, triton = settings.telemetry, settings.triton
    largest_answer = max(settings.limits.body_bytes, settings.dimse.object_bytes)

    def part(amount: int, least: int = 1) -> int:
        return max(least, amount // count + (number <= amount % count))

    return _changed(
        settings,
        http={
            "connections": part(http.connections),
            # The one connection that is being answered is not to be closed for its length.
            "waiting_bytes": max(part(http.waiting_bytes), min(http.waiting_bytes, largest_answer)),
        },
        limits={"image_threads": part(settings.limits.image_threads)},
        admission={
            "studies": part(admission.studies, 2),
            "bytes": part(admission.bytes),
            # 1 is no share: it never holds anything back.
            "background_share": 1.0
            if admission.background_share == 1
            else admission.background_share / count,
        },
        shadow={"share": shadow.share / count, "queue": part(shadow.queue)},
        triton={"shared_memory_bytes": triton.shared_memory_bytes // count},
        store={"connections": part(settings.store.connections)},
        tenancy={"gateways": settings.tenancy.gateways * count},
        telemetry={
            "queue_bytes": telemetry.queue_bytes // count,
            "spool_bytes": telemetry.spool_bytes // count,
            "spool_folder": spool_of(telemetry.spool_folder, number),
        },
    )


def _changed(settings: Settings, **groups: dict[str, Any]) -> Settings:
    changed: dict[str, BaseModel] = {
        name: getattr(settings, name).model_copy(update=values) for name, values in groups.items()
    }
    return settings.model_copy(update=changed)
