"""Authentication of callers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gateway.runtime.addresses import is_loopback
from gateway.settings.group import SettingsGroup, WebUrl


class AccessSettings(SettingsGroup):
    """Authentication of callers, and the web origins that may call."""

    key_file: Path | None = Field(
        None,
        description="File of API keys, as `radstream keys` writes it; re-read when it changes.",
    )
    issuer: WebUrl | None = Field(
        None,
        description="URL of the OpenID provider whose tokens are accepted.",
    )
    audience: str | None = Field(
        None,
        min_length=1,
        description="Required `aud` of tokens; needed with an issuer, unless client_ids is set.",
    )
    client_ids: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        description="Clients whose access tokens are accepted though they have no `aud`, as a "
        "JSON array: Amazon Cognito's have `client_id` and `token_use` instead.",
    )
    jwks_url: WebUrl | None = Field(
        None,
        description="URL of the issuer's signing keys; as its discovery document says, if unset.",
    )
    scope_prefix: str = Field(
        "", description="Prefix of scope names in tokens, such as `radstream/`."
    )
    leeway_s: int = Field(
        60,
        ge=0,
        le=300,
        description="Clock skew in seconds allowed between the issuer and the gateway.",
    )
    metrics_open: bool = Field(False, description="Serve /metrics without authentication.")
    cors_origins: tuple[str, ...] = Field(
        (), description="Origins of web pages that may call, as a JSON array; none if empty."
    )

    @property
    def is_asked(self) -> bool:
        """Return True if callers must authenticate."""
        return self.key_file is not None or self.issuer is not None

    @field_validator("cors_origins")
    @classmethod
    def _are_named(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in {"http", "https"}
                or f"{parts.scheme}://{parts.netloc}" != origin
            ):
                raise ValueError("each must be an origin such as https://viewer.example.org")
        return origins

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.issuer is None) != (self.audience is None and not self.client_ids):
            raise ValueError("issuer and audience (or client_ids) are needed together")
        if self.jwks_url and not self.issuer:
            raise ValueError("jwks_url needs issuer")
        for url in (self.issuer, self.jwks_url):
            if url and urlsplit(url).scheme == "http" and not is_loopback(urlsplit(url).hostname):
                raise ValueError("issuer and jwks_url must be https, unless on this machine")
        return self
