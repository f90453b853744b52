"""The console: the gateway's web pages for people."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.runtime.addresses import is_loopback
from gateway.settings.group import ASCII_WORD_PATTERN, SettingsGroup, WebUrl

CALLBACK_PATH = "/console/sign-in/callback"
"""Path at the end of the address that the OpenID provider sends people back to."""
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

    client_id: str | None = Field(
        None,
        min_length=1,
        description="Client of the OpenID provider in access.issuer that people sign in with; if "
        "unset, they sign in with API keys alone.",
    )
    client_secret: SecretStr | None = Field(
        None, min_length=1, description="Secret of that client; if unset, it is a public one."
    )
    redirect_uri: WebUrl | None = Field(
        None,
        description="Address that the provider sends people back to, as it is registered there: "
        "the gateway's own, then `/console/sign-in/callback`.",
    )
    provider_scopes: tuple[Annotated[str, Field(pattern=ASCII_WORD_PATTERN)], ...] = Field(
        (),
        description="Scopes asked of the provider besides `openid`, as a JSON array; if empty all "
        "of RadStream's, with access.scope_prefix.",
    )
    provider_parameters: dict[str, str] = Field(
        {},
        description="Further parameters of the request to sign in, as a JSON object: what the "
        "provider wants to know the API by, such as `audience` or `resource`.",
    )

    @model_validator(mode="after")
    def _has_a_way_back(self) -> Self:
        if self.client_id is None:
            if self.client_secret is not None or self.redirect_uri is not None:
                raise ValueError("client_secret and redirect_uri need client_id")
            return self
        if self.redirect_uri is None:
            raise ValueError("client_id needs redirect_uri")
        parts = urlsplit(self.redirect_uri)
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("redirect_uri must be https, unless on this machine")
        if not parts.path.endswith(CALLBACK_PATH) or parts.query or parts.fragment:
            raise ValueError(f"redirect_uri must end with {CALLBACK_PATH}")
        return self

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
