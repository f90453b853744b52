"""The HTTP server."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from gateway.runtime.addresses import is_loopback
from gateway.settings.group import SettingsGroup
from gateway.settings.listener import Address, Port, TlsKey, check_tls

PATH_PREFIX_PATTERN = r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$"


class HttpSettings(SettingsGroup):
    """The HTTP server: its address, connections, time limits and TLS."""

    host: Address = Field(
        "127.0.0.1",
        description="Address to listen on; other than loopback only with authentication (keys "
        "or an issuer).",
    )
    port: Port = 8080
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes of the gateway behind its one address, for what comes over HTTP, "
        "which share its limits. More than one where one event loop is too little: see "
        "docs/scaling.md.",
    )
    request_timeout_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="Seconds from a request's head to its answer; a sender may ask for less with "
        "the header Request-Timeout.",
    )
    connections: int = Field(
        512,
        ge=1,
        le=65536,
        description="Connections open at once; a new one takes the place of the one silent for "
        "longest, or is refused.",
    )
    keep_alive_s: int = Field(
        75,
        ge=1,
        le=3600,
        description="Seconds a connection may stay silent between two requests; longer than a "
        "load balancer's own time in front (60 for AWS's).",
    )
    head_timeout_s: float = Field(
        10.0, gt=0, le=600, description="Seconds that a request's line and header fields may take."
    )
    head_bytes: int = Field(
        64 * 2**10, ge=2**10, description="Bytes of a request's line and header fields."
    )
    body_grace_s: float = Field(
        5.0,
        gt=0,
        le=600,
        description="Grace period in seconds before a body's minimum rate applies.",
    )
    body_bytes_per_s: int = Field(
        16 * 2**10,
        gt=0,
        description="Minimum rate of a body, in bytes per second, after the grace period.",
    )
    waiting_bytes: int = Field(
        64 * 2**20,
        ge=2**20,
        description="Bytes buffered over all connections, of responses and of pipelined "
        "requests; beyond them the connection with the oldest is closed.",
    )
    tls_certificate: Path | None = Field(
        None,
        description="File of the PEM certificate chain to serve TLS with; plain HTTP if unset.",
    )
    tls_key: TlsKey = None
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of proxies whose X-Forwarded-For and -Proto are "
        "believed, as a JSON array.",
    )
    path_prefix: str = Field(
        "",
        max_length=256,
        pattern=PATH_PREFIX_PATTERN,
        description="Path under which a proxy serves the gateway and which it strips from "
        "requests, such as `/radstream`: links, Location, callbacks and /docs begin with it.",
    )
    grace_period_s: float = Field(
        20.0, ge=0, le=600, description="Seconds that work in flight may take after a stop signal."
    )
    drain_delay_s: float = Field(
        0.0,
        ge=0,
        le=600,
        description="Seconds between readiness turning false and the listener closing.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ip_network(proxy)
        return proxies

    @model_validator(mode="after")
    def _has_both_halves(self) -> Self:
        check_tls(self.tls_certificate, self.tls_key)
        return self

    @property
    def is_loopback(self) -> bool:
        """Return True if only programs on this machine reach the gateway."""
        return is_loopback(self.host)
