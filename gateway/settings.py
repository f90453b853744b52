"""One frozen `Settings`, read once from RADSTREAM_… environment variables at start-up."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from gateway.runtime.addresses import is_loopback
from gateway.runtime.machine import cores, memory_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "RADSTREAM_"
DELIMITER = "__"
# No setting of the gateway's: the key that the command's own clients send.
CLIENT_KEY = "RADSTREAM_API_KEY"
# DICOM PS3.5, 6.2, AE: up to 16 characters of the default repertoire without backslash; blanks
# around it do not count.
AE_TITLE_PATTERN = r"^[!-\[\]-~]([ -\[\]-~]{0,14}[!-\[\]-~])?$"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpSettings(_Group):
    """The HTTP server: its address, connections, time limits and TLS."""

    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; other than loopback only with authentication (keys "
        "or an issuer).",
    )
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
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
    tls_key: Path | None = Field(None, description="File of the certificate's PEM private key.")
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of proxies whose X-Forwarded-For and -Proto are "
        "believed, as a JSON array.",
    )
    path_prefix: str = Field(
        "",
        max_length=256,
        pattern=r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$",
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

    @field_validator("host")
    @classmethod
    def _is_address(cls, host: str) -> str:
        if host != "localhost":
            ip_address(host)
        return host

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for proxy in proxies:
            ip_network(proxy)
        return proxies

    @model_validator(mode="after")
    def _has_both_halves(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are needed together")
        return self

    @property
    def is_loopback(self) -> bool:
        """Return True if only programs on this machine reach the gateway."""
        return is_loopback(self.host)


class AccessSettings(_Group):
    """Authentication of callers, and the web origins that may call."""

    key_file: Path | None = Field(
        None,
        description="File of API keys, as `radstream keys` writes it; re-read when it changes.",
    )
    issuer: str | None = Field(
        None,
        pattern=r"^https?://",
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
    jwks_url: str | None = Field(
        None,
        pattern=r"^https?://",
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


class LimitSettings(_Group):
    """Limits of one request."""

    body_bytes: int = Field(64 * 2**20, gt=0, description="Largest request body in bytes.")
    metadata_bytes: int = Field(
        256 * 2**10, gt=0, description="Largest metadata document in bytes."
    )
    parts: int = Field(16, ge=2, le=1000, description="Most parts of a multipart body.")
    image_pixels: int = Field(
        100_000_000,
        gt=0,
        description="Most pixels of one image, and of all images of a request together.",
    )
    decode_s: float = Field(
        10.0,
        gt=0,
        le=60,
        description="Timeout in seconds of decoding one file in a worker process, where codecs "
        "that may hang run.",
    )
    image_threads: int = Field(
        default_factory=cores,
        ge=1,
        le=256,
        description="Threads for image work; as many as cores, unless set.",
    )


class AdmissionSettings(_Group):
    """Limits of the work taken on at once, for all ways in together."""

    studies: int = Field(
        default_factory=lambda: 8 * cores(),
        ge=2,
        le=10_000,
        description="Concurrency limit: studies processed at once; eight for each core, unless "
        "set. One caller alone gets half of them.",
    )
    bytes: int = Field(
        default_factory=lambda: max(256 * 2**20, min(memory_bytes() // 8, 2**30)),
        gt=0,
        description="Memory limit: bytes of bodies and files held at once; an eighth of the "
        "memory, but from 256 MiB to 1 GiB, unless set. One caller alone gets half "
        "of them.",
    )


class TritonSettings(_Group):
    """The Triton Inference Server the gateway calls."""

    url: str = Field("127.0.0.1:8001", description="host:port of Triton's gRPC endpoint.")
    message_bytes: int = Field(
        128 * 2**20, gt=0, description="Bytes of the largest gRPC message in either direction."
    )
    placement: Literal["gateway", "triton"] = Field(
        "gateway",
        description="Place of preprocessing: in the gateway, or in Triton with the ensembles "
        "that `radstream models build` makes.",
    )
    shared_memory_bytes: int = Field(
        0,
        ge=0,
        description="Bytes of /dev/shm for large tensors on their way to a Triton that shares it; "
        "0 sends everything over gRPC. `radstream up` takes 32 MiB, unless set.",
    )
    refresh_s: float = Field(
        5.0, gt=0, le=300, description="Interval in seconds of polling Triton's model repository."
    )
    probe_timeout_s: float = Field(
        2.0, gt=0, le=60, description="Timeout in seconds of one readiness probe of Triton."
    )
    restart_after_s: float = Field(
        60.0,
        ge=1,
        le=3600,
        description="Seconds without an answer of any model after which Triton is restarted; "
        "longer than the slowest model takes to load.",
    )
    restart_flag: Path | None = Field(
        None,
        description="File created to restart Triton's container, in a volume that its entry "
        "point watches. `radstream up` restarts its own Triton.",
    )
    model_repository: Path = Field(
        Path("model_repository"),
        description="Folder the embedded Triton serves; `radstream up` alone reads it.",
    )


class StoreSettings(_Group):
    """The store of studies and results."""

    kind: Literal["folder", "s3"] = Field(
        "folder", description="A folder on this machine, or two buckets of S3."
    )
    folder: Path = Field(Path("data/store"), description="Root of the folder object store.")
    images_bucket: str | None = Field(
        None, min_length=3, max_length=63, description="S3 bucket that hospitals drop studies into."
    )
    results_bucket: str | None = Field(
        None, min_length=3, max_length=63, description="S3 bucket for all that the gateway keeps."
    )
    region: str | None = Field(
        None, description="AWS region of the buckets; AWS's own variables and files if unset."
    )
    endpoint: str | None = Field(
        None,
        pattern=r"^https?://",
        description="URL of an S3 other than AWS's; it is asked with check sums as "
        "AWS_REQUEST_CHECKSUM_CALCULATION and AWS_RESPONSE_CHECKSUM_VALIDATION say.",
    )
    sse: Literal["AES256", "aws:kms"] | None = Field(
        None, description="Server-side encryption of every write; the bucket's default if unset."
    )
    kms_key_id: str | None = Field(
        None, description="Key for aws:kms: its id or ARN; the account's own for S3 if unset."
    )
    connections: int = Field(
        64,
        ge=1,
        le=1000,
        description="Concurrent requests to S3: as many reads, and as many writes to a bucket.",
    )
    timeout_s: float = Field(
        15.0, gt=0, le=300, description="Timeout in seconds of a call of S3, retries included."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "s3" and not (self.images_bucket and self.results_bucket):
            raise ValueError("kind s3 needs images_bucket and results_bucket")
        if self.kms_key_id and self.sse != "aws:kms":
            raise ValueError("kms_key_id needs sse aws:kms")
        return self


class DropFolderSettings(_Group):
    """The way in for files: a bucket whose events come in, or a watched folder."""

    folder: Path = Field(
        Path("data/dropfolder"), description="Folder for studies, where the store is a folder."
    )
    watch: bool | None = Field(
        None,
        description="Watch the folder for studies; `radstream up` does, "
        "`radstream serve` does not, if unset.",
    )
    settle_s: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Seconds that a file in the watched folder must stay unchanged to count as "
        "completely copied.",
    )
    doubtful_settle_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="The same for a file that looks truncated: it ends in zeros, lacks a part, "
        "or is open for writing.",
    )
    polling: bool | None = Field(
        None,
        description="Poll the folder besides the system's notifications; if "
        "unset, on network file systems and where there are no notifications.",
    )
    poll_s: float = Field(
        1.0,
        gt=0,
        le=3600,
        description="Polling interval in seconds; longer where a scan takes long.",
    )
    waiting_deadline_s: float = Field(
        3600.0,
        gt=0,
        le=7 * 86400,
        description="Seconds that an image or a sidecar waits for its other half before it is "
        "parked.",
    )
    sweep_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        description="Interval in seconds of the sweep: halves that waited too long, studies "
        "whose gateway died, files that no notification told of.",
    )


class RoutingSettings(_Group):
    """The routing document: who sends over DICOM."""

    file: Path | None = Field(
        None,
        description="File of the routing document (`radstream.routing/1`); re-read when it "
        "changes.",
    )


class DimseSettings(_Group):
    """The DICOM listener (C-STORE, C-ECHO): its address, TLS and limits."""

    listen: bool | None = Field(
        None,
        description="Listens for DICOM; if unset, `radstream up` does, and "
        "`radstream serve` where the port is set.",
    )
    host: str = Field(
        "127.0.0.1",
        description="Address to listen on; other than loopback only with senders in the routing "
        "document.",
    )
    port: int = Field(11112, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    ae_title: str = Field(
        "RADSTREAM", pattern=AE_TITLE_PATTERN, description="AE title that senders must call."
    )
    tls_certificate: Path | None = Field(
        None,
        description="File of the PEM certificate chain to speak TLS with; plain DICOM if unset.",
    )
    tls_key: Path | None = Field(None, description="File of the certificate's PEM private key.")
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

    @field_validator("host")
    @classmethod
    def _is_address(cls, host: str) -> str:
        if host != "localhost":
            ip_address(host)
        return host

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key are needed together")
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError("tls_client_ca needs tls_certificate")
        return self


class PendingSettings(_Group):
    """Studies that are answered before they are read."""

    sweep_s: float = Field(
        15.0,
        gt=0,
        le=3600,
        description="Interval in seconds of the sweep for accepted studies, callbacks and "
        "deletions that a gateway left undone.",
    )
    give_up_s: float = Field(
        86400.0,
        gt=0,
        le=30 * 86400,
        description="Seconds of retries after which an accepted study, such as one without its "
        "model, is parked.",
    )


class CallbackSettings(_Group):
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
    give_up_s: float = Field(
        86400.0,
        gt=0,
        le=30 * 86400,
        description="Seconds of retries after which an undelivered webhook is parked.",
    )

    def host_names(self) -> frozenset[str]:
        """Return the hosts that may be called, in lower case."""
        return frozenset(filter(None, (host.strip().lower() for host in self.hosts.split(","))))

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.host_names() and self.secret is None:
            raise ValueError("hosts need a secret")
        return self


class RetentionSettings(_Group):
    """Retention of studies."""

    study_days: int | None = Field(
        None,
        ge=1,
        le=36500,
        description="Retention in days: a study unchanged for so long is deleted; never if unset.",
    )
    sweep_s: float = Field(
        21600.0, gt=0, le=86400, description="Interval in seconds of the retention sweep."
    )


class TelemetrySettings(_Group):
    """Telemetry: the events of studies, and the sink that takes them."""

    kind: Literal["none", "file", "kinesis"] = Field(
        "file",
        description="Sink of telemetry events: none, JSON lines in files on this machine, or a "
        "Kinesis data stream.",
    )
    study_ref_key: SecretStr | None = Field(
        None,
        description="Key of the hash that stands for a study_id in logs and telemetry; needed for "
        "kind kinesis, and the same for all replicas. If unset, a random one, which kind file "
        "keeps in the spool's folder.",
    )
    folder: Path = Field(
        Path("data/telemetry"), description="Folder of the files, where the kind is file."
    )
    file_bytes: int = Field(
        64 * 2**20, gt=0, description="Size in bytes at which a new file is begun."
    )
    folder_bytes: int = Field(
        2**30, gt=0, description="Size in bytes of all files beyond which the oldest are removed."
    )
    stream_name: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_.-]{1,128}$", description="Name of the Kinesis data stream."
    )
    region: str | None = Field(
        None, description="AWS region of the stream; AWS's own variables and files if unset."
    )
    endpoint: str | None = Field(
        None, pattern=r"^https?://", description="URL of a Kinesis other than AWS's."
    )
    timeout_s: float = Field(
        10.0, gt=0, le=60, description="Timeout in seconds of a call of Kinesis."
    )
    linger_ms: int = Field(
        500,
        ge=0,
        le=60_000,
        description="Milliseconds that an event waits to be sent in a batch.",
    )
    queue_bytes: int = Field(
        16 * 2**20,
        ge=2**16,
        description="Bytes of memory for events to be sent; from half of it they go to the spool.",
    )
    spool_folder: Path = Field(
        Path("data/telemetry-spool"),
        description="Folder for events while their sink is slow or unavailable; one gateway's "
        "alone.",
    )
    spool_bytes: int = Field(
        256 * 2**20,
        ge=0,
        description="Bytes of the spool; events that find it and the memory full are dropped and "
        "counted.",
    )
    drain_s: float = Field(
        5.0,
        ge=0,
        le=600,
        description="Seconds that delivery goes on after the last study at shutdown; the rest "
        "is spooled.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "kinesis" and not (self.stream_name and self.study_ref_key):
            raise ValueError("kind kinesis needs stream_name and study_ref_key")
        return self


class TracingSettings(_Group):
    """Export of OpenTelemetry traces."""

    kind: Literal["none", "otlp"] = Field(
        "none",
        description="Exporter of traces: none, or OTLP/HTTP to a collector, which needs the extra.",
    )
    endpoint: str = Field(
        "http://127.0.0.1:4318/v1/traces",
        pattern=r"^https?://",
        description="URL that the collector takes traces at.",
    )
    sample_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of the traces begun here that are sampled; a caller's own decision "
        "stands.",
    )

    @model_validator(mode="after")
    def _is_installed(self) -> Self:
        if self.kind == "otlp" and not _installed("opentelemetry.sdk", "opentelemetry.exporter"):
            raise ValueError(
                "kind otlp needs the packages of the extra tracing: install radstream[tracing]"
            )
        return self


def _installed(*packages: str) -> bool:
    return all(find_spec(package) is not None for package in packages)


class AuditSettings(_Group):
    """The audit trail: the record of who did what to which study."""

    kind: Literal["file", "s3"] = Field(
        "file",
        description="Sink of the audit trail: JSON lines in files on this machine, or objects "
        "in a bucket.",
    )
    folder: Path = Field(
        Path("data/audit"), description="Folder of the files, where the kind is file."
    )
    file_bytes: int = Field(
        64 * 2**20, gt=0, description="Size in bytes at which a new file is begun."
    )
    bucket: str | None = Field(
        None,
        min_length=3,
        max_length=63,
        description="S3 bucket for the trail alone, best with Object Lock; reached as the store's.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "s3" and not self.bucket:
            raise ValueError("kind s3 needs bucket")
        return self


class LogSettings(_Group):
    """The gateway's log."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged."
    )
    format: Literal["json", "console"] = Field(
        default_factory=lambda: "console" if sys.stderr.isatty() else "json",
        description="Format of the log: JSON lines, or text for a terminal; text on a terminal "
        "if unset.",
    )


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
    limits: LimitSettings = LimitSettings()
    admission: AdmissionSettings = AdmissionSettings()
    triton: TritonSettings = TritonSettings()
    store: StoreSettings = StoreSettings()
    routing: RoutingSettings = RoutingSettings()
    dimse: DimseSettings = DimseSettings()
    dropfolder: DropFolderSettings = DropFolderSettings()
    pending: PendingSettings = PendingSettings()
    callbacks: CallbackSettings = CallbackSettings()
    retention: RetentionSettings = RetentionSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    tracing: TracingSettings = TracingSettings()
    audit: AuditSettings = AuditSettings()
    logs: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _has_room_for_a_body(self) -> Self:
        if self.admission.bytes < self.limits.body_bytes:
            raise ValueError("admission.bytes must be at least limits.body_bytes")
        return self

    @model_validator(mode="after")
    def _asks_strangers(self) -> Self:
        if not self.http.is_loopback and not self.access.is_asked:
            raise ValueError(
                f"{PREFIX}HTTP{DELIMITER}HOST is not loopback, so callers must be asked who they "
                f"are: set {PREFIX}ACCESS{DELIMITER}KEY_FILE (`radstream keys create` makes one) "
                f"or {PREFIX}ACCESS{DELIMITER}ISSUER and {PREFIX}ACCESS{DELIMITER}AUDIENCE"
            )
        return self

    @model_validator(mode="after")
    def _has_senders(self) -> Self:
        # Where it is not said, `radstream up` listens.
        may_listen = self.dimse.listen is not False
        if may_listen and not self.dimse.is_loopback and self.routing.file is None:
            raise ValueError(
                f"{PREFIX}DIMSE{DELIMITER}HOST is not loopback, so senders must be known: set "
                f"{PREFIX}ROUTING{DELIMITER}FILE"
            )
        return self

    @model_validator(mode="after")
    def _has_room_for_an_object(self) -> Self:
        if self.dimse.is_on and self.admission.bytes < self.dimse.object_bytes:
            raise ValueError("admission.bytes must be at least dimse.object_bytes")
        return self


def setting_names() -> Iterator[tuple[str, str]]:
    """Yield each environment variable with its description, in the order of `Settings`."""
    for group_name, group in Settings.model_fields.items():
        group_type = group.annotation
        if not (isinstance(group_type, type) and issubclass(group_type, BaseModel)):
            continue
        for name, field in group_type.model_fields.items():
            variable = f"{PREFIX}{group_name}{DELIMITER}{name}".upper()
            yield variable, field.description or ""


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """Return RADSTREAM_… variables that name no setting; pydantic-settings passes over them."""
    known = {name for name, _ in setting_names()} | {CLIENT_KEY}
    return sorted(
        name
        for name in environment
        if name.upper().startswith(PREFIX) and name.upper() not in known
    )
