"""The console: the gateway's web pages for people."""

from __future__ import annotations

import base64
import binascii

from pydantic import Field, SecretStr, field_validator

from gateway.settings.group import SettingsGroup

_KEY_BYTES = 32


class ConsoleSettings(SettingsGroup):
    """The web pages for people, and their sessions."""

    enabled: bool | None = Field(
        None,
        description="Serve the console; `radstream up` does, `radstream serve` does not, if unset.",
    )
    session_keys: tuple[SecretStr, ...] = Field(
        (),
        description="Keys that encrypt sessions, as a JSON array of 32 bytes each in URL-safe "
        "base64: the first one writes, all of them read. The same for all gateways; if empty, a "
        "key that ends with the process.",
    )

    @field_validator("session_keys")
    @classmethod
    def _are_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for key in keys:
            try:
                decoded = base64.b64decode(key.get_secret_value(), altchars=b"-_", validate=True)
            except (binascii.Error, ValueError):
                decoded = b""
            if len(decoded) != _KEY_BYTES:
                raise ValueError("each must be 32 bytes in URL-safe base64")
        return keys
