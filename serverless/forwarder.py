# ruff: noqa: INP001  Lambda loads this file itself: the folder is no package.
"""The drop folder's messenger: carries "Object Created" events from the queue to the gateway.

EventBridge puts an event into the upload queue, Lambda hands it here one message at a time
(`batchSize: 1`), and it is posted as it came to ``{GATEWAY_URL}/v1/events/s3``. Only the
reference to the object travels, never its bytes. Raising returns the message to the queue, which
delivers it again and, after its last try, parks it in the dead-letter queue; returning deletes it.

Standard library only. boto3, which Lambda's runtime brings, is imported when a key has to be read
from Parameter Store or Secrets Manager, and not before.
"""

import contextlib
import functools
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

CONNECT_TIMEOUT_S = 3.0
# The whole exchange. Below the function's own timeout (serverless.yml), so that the log says why.
TOTAL_TIMEOUT_S = 25.0
# What the gateway is told to keep to: less, for the ways there and back. It ends the study then and
# says so, rather than going on with one that the queue will bring again.
REQUEST_TIMEOUT_S = 22
MAX_ANSWER_BYTES = 64 * 1024

# Of the 4xx, these say nothing of the event itself: the credentials, the route, the firewall or
# the moment are at fault. Dropping the event would lose a study, so it stays in the queue.
RETRIED_4XX = frozenset({401, 403, 404, 405, 408, 421, 425, 429})

# Of the gateway's own refusals, the one that says it is set up for another bucket than this stack.
RETRIED_PROBLEMS = frozenset({"urn:radstream:problem:foreign-bucket"})

REQUIRED = ("IMAGES_BUCKET", "KEY_PREFIX")

PROBLEM_TYPE = re.compile(r"urn:radstream:problem:[a-z0-9-]{1,64}")

# What Lambda says of an invocation that X-Ray traces: Root=1-<8>-<24>;Parent=<16>;Sampled=1.
XRAY_SAMPLED = re.compile(
    r"^Root=1-([0-9a-f]{8})-([0-9a-f]{24});Parent=([0-9a-f]{16});Sampled=1(?:;|$)"
)

HTTP_OK, HTTP_REDIRECTS, HTTP_CLIENT_ERRORS, HTTP_SERVER_ERRORS = 200, 300, 400, 500

Outcome = Literal["delivered", "refused", "ignored", "failed"]


class ConfigurationError(Exception):
    """The environment does not say where to send events, or with which key."""


class EnvelopeError(Exception):
    """The message is no "Object Created" event; only a changed rule or queue policy lets it in."""


class DeliveryError(Exception):
    """The gateway did not take the event this time; raised so that the queue delivers it again."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the environment says.

    Exactly one of `api_key`, `api_key_parameter` (a name in Parameter Store) and `api_key_secret`
    (an ARN in Secrets Manager) is set.
    """

    host: str
    port: int
    path: str
    bucket: str
    prefix: str
    api_key: str = ""
    api_key_parameter: str = ""
    api_key_secret: str = ""


@dataclass(frozen=True, slots=True)
class ObjectCreated:
    """The fields of the event that decide whether it is forwarded and how it is logged."""

    event_id: str
    bucket: str
    key: str
    version_id: str

    @property
    def ref(self) -> str:
        """A name for the object that tells nobody its key: 16 hexadecimal digits.

        The version id, which cannot be guessed, salts the hash of a key that can be.
        """
        named = f"{self.bucket}/{self.key}?versionId={self.version_id}"
        return hashlib.sha256(named.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Answer:
    """The gateway's status, and the kind of problem where it named one."""

    status: int
    problem: str | None


def handler(event: Mapping[str, Any], _context: object) -> None:
    """Nothing: every message of the batch was delivered, refused for good, or is not ours.

    Raises
    ------
    DeliveryError
        The gateway is away, busy or does not know our key: the message shall come again.
    EnvelopeError, ConfigurationError
        Nothing that another delivery mends, but nothing to be lost either: the dead-letter
        queue keeps the message until somebody has looked.
    """
    config = _environment()
    for record in event["Records"]:
        forward(config, record["body"])


def forward(config: Config, body: str) -> Outcome:
    """What became of one event, after one line of log said the same."""
    started = time.monotonic()
    created = parse(body)
    if not is_ours(config, created):
        _log(created, "ignored", started)
        return "ignored"
    try:
        answer = deliver(config, body.encode())
    except (OSError, http.client.HTTPException) as error:
        _log(created, "failed", started, error=type(error).__name__)
        # The library's own message is left out: the log is to hold nothing but what we put there.
        raise DeliveryError(f"no answer from the gateway: {type(error).__name__}") from None
    outcome = judge(answer)
    _log(created, outcome, started, status=answer.status, problem=answer.problem)
    if outcome == "failed":
        raise DeliveryError(f"the gateway answered {answer.status}")
    return outcome


def read_config(environ: Mapping[str, str]) -> Config:
    """The configuration; every fault of the environment is named at once."""
    url = urlsplit(environ.get("GATEWAY_URL", ""))
    sources = ("GATEWAY_API_KEY", "GATEWAY_API_KEY_PARAMETER", "GATEWAY_API_KEY_SECRET")
    keys = {name: environ[name] for name in sources if environ.get(name)}
    faults = [f"{name} is not set" for name in REQUIRED if not environ.get(name)]
    if url.scheme != "https" or not url.hostname:
        faults.append("GATEWAY_URL is no https:// address")
    if len(keys) != 1:
        faults.append(f"set exactly one of {', '.join(sources)}")
    if faults:
        raise ConfigurationError("; ".join(faults))
    return Config(
        host=url.hostname or "",
        port=url.port or 443,
        path=f"{url.path.rstrip('/')}/v1/events/s3",
        bucket=environ["IMAGES_BUCKET"],
        prefix=environ["KEY_PREFIX"],
        api_key=keys.get("GATEWAY_API_KEY", ""),
        api_key_parameter=keys.get("GATEWAY_API_KEY_PARAMETER", ""),
        api_key_secret=keys.get("GATEWAY_API_KEY_SECRET", ""),
    )


def parse(body: str) -> ObjectCreated:
    """The fields we use of an EventBridge event of S3.

    Object keys stand in it as they are, not URL-encoded as in S3's older notifications.
    """
    try:
        event = json.loads(body)
        if (event["source"], event["detail-type"]) != ("aws.s3", "Object Created"):
            raise EnvelopeError("the message is another kind of event")
        detail = event["detail"]
        return ObjectCreated(
            event_id=event["id"],
            bucket=detail["bucket"]["name"],
            key=detail["object"]["key"],
            version_id=detail["object"].get("version-id", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvelopeError(f"the message is no event: {type(error).__name__}") from None


def is_ours(config: Config, created: ObjectCreated) -> bool:
    """Return True if the object lies where studies are dropped and is no folder of a console's.

    Its name decides no more: DICOM files have names of every kind, and the gateway knows them by
    their bytes.
    """
    is_folder = created.key.endswith("/")
    return (
        created.bucket == config.bucket and created.key.startswith(config.prefix) and not is_folder
    )


def judge(answer: Answer) -> Outcome:
    """What an answer means for the message: taken, refused for good, or to be tried again.

    A redirect is a failure too: following it would carry the key to another server.
    """
    if HTTP_OK <= answer.status < HTTP_REDIRECTS:
        return "delivered"
    may_change = answer.status in RETRIED_4XX or answer.problem in RETRIED_PROBLEMS
    if HTTP_CLIENT_ERRORS <= answer.status < HTTP_SERVER_ERRORS and not may_change:
        return "refused"
    return "failed"


def deliver(config: Config, body: bytes) -> Answer:
    """The gateway's answer; a key that it no longer knows is read anew once."""
    answer = post(config, body, read_api_key(config))
    if answer.status == http.HTTPStatus.UNAUTHORIZED and not config.api_key:
        read_api_key.cache_clear()
        answer = post(config, body, read_api_key(config))
    return answer


@functools.cache
def read_api_key(config: Config) -> str:
    """The key, kept for as long as this execution environment lives."""
    if config.api_key:
        return config.api_key
    import boto3  # noqa: PLC0415  a tenth of a second at least, and only Lambda has to have it

    if config.api_key_parameter:
        parameters = boto3.client("ssm")
        found = parameters.get_parameter(Name=config.api_key_parameter, WithDecryption=True)
        return str(found["Parameter"]["Value"])
    secrets = boto3.client("secretsmanager")
    return str(secrets.get_secret_value(SecretId=config.api_key_secret)["SecretString"])


def post(config: Config, body: bytes, api_key: str) -> Answer:
    """The answer to one POST over verified TLS.

    Raises
    ------
    OSError
        No connection, a certificate that is not trusted, or a time-out.
    http.client.HTTPException
        What came back is not HTTP, or was cut off by the time limit.
    """
    connection = http.client.HTTPSConnection(
        config.host, config.port, timeout=CONNECT_TIMEOUT_S, context=_tls()
    )
    with contextlib.closing(connection):
        connection.connect()
        with _time_limit(connection.sock):
            connection.request("POST", config.path, body, _headers(api_key))
            response = connection.getresponse()
            return Answer(response.status, problem_type(response.read(MAX_ANSWER_BYTES)))


def problem_type(body: bytes) -> str | None:
    """The `type` of an RFC 9457 problem, if it is one of the gateway's; never its free text."""
    try:
        named = str(json.loads(body).get("type"))
    except (ValueError, AttributeError):
        return None
    return named if PROBLEM_TYPE.fullmatch(named) else None


def traceparent(xray: str) -> dict[str, str]:
    """The W3C header that lets the gateway's trace join X-Ray's; none where X-Ray keeps no trace.

    One that says so would keep the gateway from recording the study too.
    """
    sampled = XRAY_SAMPLED.search(xray)
    return {"traceparent": "00-{}{}-{}-01".format(*sampled.groups())} if sampled else {}


def _headers(api_key: str) -> dict[str, str]:
    return traceparent(os.environ.get("_X_AMZN_TRACE_ID", "")) | {
        "Content-Type": "application/json",
        "X-API-Key": api_key,
        "Request-Timeout": str(REQUEST_TIMEOUT_S),
        # The firewall's NoUserAgent_HEADER refuses whoever does not say who they are.
        "User-Agent": "radstream-forwarder",
    }


@contextlib.contextmanager
def _time_limit(sock: socket.socket) -> Iterator[None]:
    # A socket's own time-out begins anew with every byte; the timer bounds the whole exchange.
    sock.settimeout(TOTAL_TIMEOUT_S)
    timer = threading.Timer(TOTAL_TIMEOUT_S, _hang_up, [sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed in the same instant
        # The plain socket's shutdown, since TLS's own swaps the object under a reading thread,
        # which here wakes with an end of file.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


@functools.cache
def _tls() -> ssl.SSLContext:
    # Trusts what the system trusts, or the file SSL_CERT_FILE names; checks the host's name.
    return ssl.create_default_context()


@functools.cache
def _environment() -> Config:
    return read_config(os.environ)


def _log(created: ObjectCreated, outcome: Outcome, started: float, **fields: object) -> None:
    line = {
        "event": "forward",
        "outcome": outcome,
        "event_id": created.event_id,
        "object_ref": created.ref,
        "ms": round((time.monotonic() - started) * 1000),
    }
    sys.stdout.write(json.dumps(line | fields) + "\n")
    sys.stdout.flush()
