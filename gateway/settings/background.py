"""Work in the background: accepted studies and webhooks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from gateway.settings.group import GiveUpSeconds, SettingsGroup


class PendingSettings(SettingsGroup):
    """Studies that are answered before they are processed."""

    sweep_s: float = Field(
        15.0,
        gt=0,
        le=3600,
        description="Interval in seconds of the sweep for accepted studies, callbacks and "
        "deletions that a gateway left undone.",
    )
    give_up_s: GiveUpSeconds = Field(
        86400.0,
        description="Seconds of retries after which an accepted study, such as one without its "
        "model, is parked.",
    )


class CompletionSettings(SettingsGroup):
    """Completion of studies whose images come one by one."""

    quiet_s: float = Field(
        60.0,
        gt=0,
        le=86400,
        description="Seconds since its last image after which a study is complete, unless its "
        "sender says how many there are.",
    )
    routes: tuple[Literal["rest", "stow", "dimse"], ...] = Field(
        ("stow", "dimse"),
        description="Routes of studies that complete; `rest` is that of studies sent with "
        "`Prefer: respond-async`.",
    )


class DeliverySettings(SettingsGroup):
    """Results that are brought to the destinations of the routing document."""

    timeout_s: float = Field(
        60.0,
        gt=0,
        le=600,
        description="Seconds that an attempt may take, from the connection to the acknowledgement.",
    )
    give_up_s: GiveUpSeconds = Field(
        3 * 86400.0,
        description="Seconds of retries after which a result that its destination does not "
        "acknowledge is parked.",
    )


_HOST = re.compile(r"([a-z0-9._-]+|\[[0-9a-f.:]+\])(:[0-9]{1,5})?")


class CallbackSettings(SettingsGroup):
    """Webhooks that announce that a study has its result."""

    hosts: str = Field(
        "",
        description="Hosts that webhooks may call, name or name:port, with commas between; "
        "none if empty.",
    )
    secret: SecretStr | None = Field(
        None,
        min_length=32,
        description="Secret that webhooks are signed with; 32 characters or more.",
    )
    private_addresses: bool = Field(
        False,
        description="Let webhooks call hosts on private and loopback addresses.",
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities that certify the hosts; the system's if unset.",
    )
    timeout_s: float = Field(5.0, gt=0, le=60, description="Timeout in seconds of a webhook.")
    give_up_s: GiveUpSeconds = Field(
        86400.0,
        description="Seconds of retries after which an undelivered webhook is parked.",
    )

    def host_names(self) -> frozenset[str]:
        """Return the hosts that may be called, in lower case."""
        return frozenset(filter(None, (host.strip().lower() for host in self.hosts.split(","))))

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not all(map(_HOST.fullmatch, self.host_names())):
            raise ValueError(
                "hosts must be name or name:port with commas between, without quotes, brackets "
                "around them or https://"
            )
        if self.host_names() and self.secret is None:
            raise ValueError("hosts need a secret")
        return self
