"""The DICOM listener, and its senders."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from gateway.runtime.addresses import is_loopback
from gateway.settings.group import SettingsGroup
from gateway.settings.listener import Address, Port, TlsKey, check_tls

# DICOM PS3.5, 6.2, AE: up to 16 characters of the default repertoire without backslash; blanks
# around it do not count.
AE_TITLE_PATTERN = r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$"


class RoutingSettings(SettingsGroup):
    """The routing document: who sends over DICOM."""

    file: Path | None = Field(
        None,
        description="File of the routing document (`radstream.routing/1`); re-read when it "
        "changes.",
    )
    stored: bool = Field(
        default=False,
        description="Take the routing document from the store, where `radstream rules publish` "
        "puts it, in place of a file; all gateways of the store follow it.",
    )

    @property
    def is_set(self) -> bool:
        """Return True if there is to be a document."""
        return self.stored or self.file is not None

    @model_validator(mode="after")
    def _lies_in_one_place(self) -> Self:
        if self.stored and self.file is not None:
            raise ValueError("the routing document comes from `file` or is `stored`, not both")
        return self


class DimseSettings(SettingsGroup):
    """The DICOM listener (C-STORE, C-ECHO): its address, TLS and limits."""

    listen: bool | None = Field(
        None,
        description="Listens for DICOM; if unset, `radstream up` does, and "
        "`radstream serve` where the port is set.",
    )
    host: Address = Field(
        "127.0.0.1",
        description="Address to listen on; other than loopback only with senders in the routing "
        "document.",
    )
    port: Port = 11112
    ae_title: str = Field(
        "RADSTREAM", pattern=AE_TITLE_PATTERN, description="AE title that senders must call."
    )
    tls_certificate: Path | None = Field(
        None,
        description="File of the PEM certificate chain to speak TLS with; plain DICOM if unset.",
    )
    tls_key: TlsKey = None
    tls_client_ca: Path | None = Field(
        None,
        description="PEM file of the authorities that certify senders, which then must show a "
        "certificate.",
    )
    associations: int = Field(
        32, ge=1, le=512, description="Associations open at once; beyond them they are rejected."
    )
    pdu_bytes: int = Field(
        2**16, ge=4096, le=2**20, description="Largest PDU in bytes that senders may send."
    )
    object_bytes: int = Field(
        64 * 2**20, gt=0, description="Largest data set in bytes; a larger one is refused (A700)."
    )
    unaccepted: Literal["refuse", "store"] = Field(
        "refuse",
        description="Answer to an instance that no served model takes: refused (0122), or stored "
        "with success and parked until there is a model.",
    )
    request_timeout_s: float = Field(
        10.0,
        gt=0,
        le=600,
        description="Seconds from a connection to its whole association request.",
    )
    idle_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="Seconds that an association may be silent before it is aborted.",
    )
    store_timeout_s: float = Field(
        20.0,
        gt=0,
        le=600,
        description="Seconds that the answer to an instance may take before it is refused (A700); "
        "less than its senders wait.",
    )

    @property
    def is_on(self) -> bool:
        """Return True if the gateway listens for DICOM."""
        return "port" in self.model_fields_set if self.listen is None else self.listen

    @property
    def is_loopback(self) -> bool:
        """Return True if only programs on this machine reach the listener."""
        return is_loopback(self.host)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        check_tls(self.tls_certificate, self.tls_key)
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError("tls_client_ca needs tls_certificate")
        return self
