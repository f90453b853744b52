"""One frozen `Settings`, read once from RADSTREAM_… environment variables at start-up."""

from gateway.settings.access import AccessSettings
from gateway.settings.audit import AuditSettings
from gateway.settings.background import (
    CallbackSettings,
    CompletionSettings,
    DeliverySettings,
    PendingSettings,
)
from gateway.settings.console import ConsoleSettings
from gateway.settings.dimse import AE_TITLE_PATTERN, DimseSettings, RoutingSettings
from gateway.settings.dropfolder import DropFolderSettings
from gateway.settings.environment import (
    CLIENT_KEY,
    DELIMITER,
    PREFIX,
    Settings,
    json_names,
    setting_names,
    unknown_names,
)
from gateway.settings.http import HttpSettings
from gateway.settings.limits import AdmissionSettings, LimitSettings
from gateway.settings.models import AcceptanceSettings, ModelSettings
from gateway.settings.monitoring import MonitoringSettings
from gateway.settings.observability import LogSettings, TracingSettings
from gateway.settings.shadow import ShadowSettings
from gateway.settings.store import RetentionSettings, StoreSettings
from gateway.settings.telemetry import TelemetrySettings
from gateway.settings.tenancy import TENANT_PATTERN, TenancySettings
from gateway.settings.triton import TritonSettings

__all__ = [
    "AE_TITLE_PATTERN",
    "CLIENT_KEY",
    "DELIMITER",
    "PREFIX",
    "TENANT_PATTERN",
    "AcceptanceSettings",
    "AccessSettings",
    "AdmissionSettings",
    "AuditSettings",
    "CallbackSettings",
    "CompletionSettings",
    "ConsoleSettings",
    "DeliverySettings",
    "DimseSettings",
    "DropFolderSettings",
    "HttpSettings",
    "LimitSettings",
    "LogSettings",
    "ModelSettings",
    "MonitoringSettings",
    "PendingSettings",
    "RetentionSettings",
    "RoutingSettings",
    "Settings",
    "ShadowSettings",
    "StoreSettings",
    "TelemetrySettings",
    "TenancySettings",
    "TracingSettings",
    "TritonSettings",
    "json_names",
    "setting_names",
    "unknown_names",
]
