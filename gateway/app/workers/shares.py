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

    Connections are handed out evenly, so equal shares are used up together.

    Parameters
    ----------
    settings
        Settings of the gateway.
    number
        Number of the process, from 1.
    """
    count = settings.http.workers
    http, limits, admission = settings.http, settings.limits, settings.admission
    telemetry, triton, store = settings.telemetry, settings.triton, settings.store
    return _changed(
        settings,
        http={
            "connections": _up(http.connections, count),
            "waiting_bytes": http.waiting_bytes // count,
        },
        limits={"image_threads": _up(limits.image_threads, count)},
        admission={
            "studies": max(2, _up(admission.studies, count)),
            "bytes": admission.bytes // count,
            "background_share": admission.background_share / count,
        },
        shadow={"share": settings.shadow.share / count},
        triton={"shared_memory_bytes": triton.shared_memory_bytes // count},
        store={"connections": _up(store.connections, count)},
        tenancy={"gateways": settings.tenancy.gateways * count},
        telemetry={
            "queue_bytes": telemetry.queue_bytes // count,
            "spool_bytes": telemetry.spool_bytes // count,
            "spool_folder": spool_of(telemetry.spool_folder, number),
        },
    )


def _up(amount: int, count: int) -> int:
    """Return the share of an amount, rounded up."""
    return -(-amount // count)


def _changed(settings: Settings, **groups: dict[str, Any]) -> Settings:
    changed: dict[str, BaseModel] = {
        name: getattr(settings, name).model_copy(update=values) for name, values in groups.items()
    }
    return settings.model_copy(update=changed)
