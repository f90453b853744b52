"""All settings, as the environment has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from gateway.settings.access import AccessSettings
from gateway.settings.audit import AuditSettings
from gateway.settings.background import (
    CallbackSettings,
    CompletionSettings,
    DeliverySettings,
    PendingSettings,
)
from gateway.settings.console import ConsoleSettings
from gateway.settings.dimse import DimseSettings, RoutingSettings
from gateway.settings.dropfolder import DropFolderSettings
from gateway.settings.http import HttpSettings
from gateway.settings.limits import AdmissionSettings, LimitSettings
from gateway.settings.models import AcceptanceSettings, ModelSettings
from gateway.settings.monitoring import MonitoringSettings
from gateway.settings.observability import LogSettings, TracingSettings
from gateway.settings.shadow import ShadowSettings
from gateway.settings.store import RetentionSettings, StoreSettings
from gateway.settings.telemetry import TelemetrySettings
from gateway.settings.tenancy import TenancySettings
from gateway.settings.triton import TritonSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

PREFIX = "RADSTREAM_"
DELIMITER = "__"
# No setting of the gateway's: the key that the command's own clients send.
CLIENT_KEY = "RADSTREAM_API_KEY"


class Settings(BaseSettings):
    """Everything that differs between one machine and a cluster."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix=PREFIX,
        env_nested_delimiter=DELIMITER,
        extra="forbid",
    )

    http: HttpSettings = HttpSettings()
    access: AccessSettings = AccessSettings()
    console: ConsoleSettings = ConsoleSettings()
    limits: LimitSettings = LimitSettings()
    admission: AdmissionSettings = AdmissionSettings()
    triton: TritonSettings = TritonSettings()
    models: ModelSettings = ModelSettings()
    acceptance: AcceptanceSettings = AcceptanceSettings()
    store: StoreSettings = StoreSettings()
    routing: RoutingSettings = RoutingSettings()
    shadow: ShadowSettings = ShadowSettings()
    tenancy: TenancySettings = TenancySettings()
    dimse: DimseSettings = DimseSettings()
    dropfolder: DropFolderSettings = DropFolderSettings()
    pending: PendingSettings = PendingSettings()
    completion: CompletionSettings = CompletionSettings()
    deliveries: DeliverySettings = DeliverySettings()
    callbacks: CallbackSettings = CallbackSettings()
    retention: RetentionSettings = RetentionSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    tracing: TracingSettings = TracingSettings()
    audit: AuditSettings = AuditSettings()
    logs: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _has_room_for_a_body(self) -> Self:
        self._check_room(self.limits.body_bytes, "limits.body_bytes")
        return self

    @model_validator(mode="after")
    def _requires_authentication(self) -> Self:
        if not self.http.is_loopback and not self.access.is_asked:
            raise ValueError(
                f"{PREFIX}HTTP{DELIMITER}HOST is not loopback, so authentication is required: "
                f"set {PREFIX}ACCESS{DELIMITER}KEY_FILE (`radstream keys create` makes one) "
                f"or {PREFIX}ACCESS{DELIMITER}ISSUER and {PREFIX}ACCESS{DELIMITER}AUDIENCE"
            )
        return self

    @model_validator(mode="after")
    def _has_session_keys(self) -> Self:
        # Where it is not said, `radstream up` serves the console, on its own machine by default.
        if self.console.enabled and not self.http.is_loopback and not self.console.session_keys:
            raise ValueError(
                f"{PREFIX}HTTP{DELIMITER}HOST is not loopback, so sessions of the console need "
                f"keys: set {PREFIX}CONSOLE{DELIMITER}SESSION_KEYS, the same for all gateways"
            )
        return self

    @model_validator(mode="after")
    def _has_a_provider(self) -> Self:
        if self.console.client_id is not None and self.access.issuer is None:
            raise ValueError(
                f"{PREFIX}CONSOLE{DELIMITER}CLIENT_ID needs {PREFIX}ACCESS{DELIMITER}ISSUER"
            )
        return self

    @model_validator(mode="after")
    def _has_senders(self) -> Self:
        # Where it is not said, `radstream up` listens.
        may_listen = self.dimse.listen is not False
        if may_listen and not self.dimse.is_loopback and not self.routing.is_set:
            raise ValueError(
                f"{PREFIX}DIMSE{DELIMITER}HOST is not loopback, so senders must be listed: set "
                f"{PREFIX}ROUTING{DELIMITER}FILE or {PREFIX}ROUTING{DELIMITER}STORED"
            )
        return self

    @model_validator(mode="after")
    def _tells_tenants_apart(self) -> Self:
        if self.tenancy.is_on and not (self.access.is_asked and self.routing.is_set):
            raise ValueError(
                f"{PREFIX}TENANCY{DELIMITER}TENANTS needs authentication "
                f"({PREFIX}ACCESS{DELIMITER}KEY_FILE or {PREFIX}ACCESS{DELIMITER}ISSUER) and "
                f"{PREFIX}ROUTING{DELIMITER}FILE or {PREFIX}ROUTING{DELIMITER}STORED: the document "
                f"names the tenant of each sender"
            )
        return self

    @model_validator(mode="after")
    def _has_room_for_an_object(self) -> Self:
        if self.dimse.is_on:
            self._check_room(self.dimse.object_bytes, "dimse.object_bytes")
        return self

    def _check_room(self, size: int, name: str) -> None:
        workers = self.http.workers
        if self.admission.bytes // workers < size:
            share = " for each of http.workers" if workers > 1 else ""
            raise ValueError(f"admission.bytes must be at least {name}{share}")


def setting_names() -> Iterator[tuple[str, str]]:
    """Yield each environment variable with its description, in the order of `Settings`."""
    for variable, field in _fields():
        yield variable, field.description or ""


def json_names() -> frozenset[str]:
    """Return the environment variables whose text is JSON: those of lists and objects."""
    source = EnvSettingsSource(Settings)
    return frozenset(variable for variable, field in _fields() if source.field_is_complex(field))


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    for group_name, group in Settings.model_fields.items():
        group_type = group.annotation
        if not (isinstance(group_type, type) and issubclass(group_type, BaseModel)):
            continue
        for name, field in group_type.model_fields.items():
            yield f"{PREFIX}{group_name}{DELIMITER}{name}".upper(), field


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """Return RADSTREAM_… variables that name no setting; pydantic-settings passes over them."""
    known = {name for name, _ in setting_names()} | {CLIENT_KEY}
    return sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name.upper() not in known
    )
