"""The forwarder against a live HTTPS server: what is posted, raised, swallowed and logged."""

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from serverless import forwarder
from tests.serverless.receiver import Receiver
from tests.support.aws import CREDENTIALS, REGION, Ministack, running_ministack

EVENTS = Path(__file__).parents[1] / "data" / "events"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _fresh(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A new execution environment that trusts the receiver's authority."""
    receiver.clear()
    for name, value in (environ(receiver.url) | {"SSL_CERT_FILE": str(receiver.ca_file)}).items():
        monkeypatch.setenv(name, value)
    cold_start()
    yield
    cold_start()


def cold_start() -> None:
    for cached in (forwarder._environment, forwarder._tls, forwarder.read_api_key):
        cached.cache_clear()


def environ(url: str, **changes: str) -> dict[str, str]:
    return {
        "GATEWAY_URL": url,
        "GATEWAY_API_KEY": "key-1",
        "IMAGES_BUCKET": "radstream-dev-images",
        "KEY_PREFIX": "images/",
    } | changes


def body(name: str) -> str:
    return (EVENTS / f"{name}.json").read_text(encoding="utf-8")


def changed(name: str = "image", **object_fields: str) -> str:
    event = json.loads(body(name))
    event["detail"]["object"] |= object_fields
    return json.dumps(event)


def invoke(*bodies: str) -> None:
    forwarder.handler({"Records": [{"messageId": "m", "body": each} for each in bodies]}, None)


def logged(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# --- what is posted -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(path.stem for path in EVENTS.glob("*.json")))
def test_an_event_arrives_byte_for_byte(name: str, receiver: Receiver) -> None:
    invoke(body(name))
    (request,) = receiver.wait_for(1)
    assert request.path == "/v1/events/s3"
    assert request.body == body(name).encode()
    assert request.headers["X-API-Key"] == "key-1"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == "radstream-forwarder"
    assert 0 < int(request.headers["Request-Timeout"]) < forwarder.TOTAL_TIMEOUT_S
    assert "traceparent" not in request.headers


XRAY = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8"


@pytest.mark.parametrize("rest", [";Sampled=1", ";Sampled=1;Lineage=a87bd80c:0|68fd508a:5"])
def test_a_trace_that_x_ray_keeps_goes_on_in_the_gateway(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, rest: str
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", XRAY + rest)
    invoke(body("image"))
    (request,) = receiver.wait_for(1)
    assert (
        request.headers["traceparent"] == "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
    )


@pytest.mark.parametrize("rest", ["", ";Sampled=0", ";Sampled=0;Lineage=x", ";Sampled=?"])
def test_a_trace_that_x_ray_does_not_keep_is_left_out(rest: str) -> None:
    assert forwarder.traceparent(XRAY + rest) == {}


def test_a_path_in_the_gateways_address_is_kept(receiver: Receiver) -> None:
    config = forwarder.read_config(environ(f"{receiver.url}/imaging/"))
    forwarder.forward(config, body("image"))
    assert receiver.wait_for(1)[0].path == "/imaging/v1/events/s3"


@pytest.mark.parametrize(
    ("key", "ours"),
    [
        ("images/a.jpg", True),
        ("images/deep/er/a b.JPG", True),
        ("images/a.dcm", True),
        ("images/a.json", True),
        ("images/IM000001", True),
        ("images/S-1/1.2.840.113619", True),
        ("images/S-1/a.Json", True),
        ("images/S-1/", False),
        ("other/a.jpg", False),
        ("IMAGES/a.jpg", False),
    ],
)
def test_only_images_and_sidecars_of_the_drop_folder_are_posted(
    key: str, ours: bool, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    invoke(changed(key=key))
    assert len(receiver.received) == ours
    assert logged(capsys)[0]["outcome"] == ("delivered" if ours else "ignored")


def test_another_bucket_is_ignored(receiver: Receiver) -> None:
    config = forwarder.read_config(environ(receiver.url, IMAGES_BUCKET="another"))
    assert forwarder.forward(config, body("image")) == "ignored"
    assert not receiver.received


# --- what is raised, what is swallowed ------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408, 401, 403, 404, 302])
def test_an_answer_that_may_change_returns_the_message_to_the_queue(
    status: int, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.answer(status)
    with pytest.raises(forwarder.DeliveryError, match=str(status)):
        invoke(body("image"))
    (line,) = logged(capsys)
    assert (line["outcome"], line["status"]) == ("failed", status)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("status", [400, 409, 413, 415, 422])
def test_a_refusal_for_good_is_logged_with_its_problem_and_swallowed(
    status: int, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    problem = {"type": "urn:radstream:problem:bad-event", "detail": "Doe^Jane"}
    receiver.script.append((status, json.dumps(problem).encode()))
    invoke(body("image"))
    (line,) = logged(capsys)
    assert (line["outcome"], line["status"], line["problem"]) == (
        "refused",
        status,
        "urn:radstream:problem:bad-event",
    )


def test_a_gateway_set_up_for_another_bucket_does_not_cost_the_study(receiver: Receiver) -> None:
    receiver.script.append((422, b'{"type": "urn:radstream:problem:foreign-bucket"}'))
    with pytest.raises(forwarder.DeliveryError, match="422"):
        invoke(body("image"))


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b'{"type": "Doe^Jane"}', b"\xff"])
def test_an_answer_that_is_no_problem_of_the_gateways_is_not_logged(answer: bytes) -> None:
    assert forwarder.problem_type(answer) is None


def test_nobody_listening_is_raised(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:  # bound and not listening: refused
        bound.bind(("127.0.0.1", 0))
        config = forwarder.read_config(environ(f"https://localhost:{bound.getsockname()[1]}"))
        with pytest.raises(forwarder.DeliveryError, match="ConnectionRefusedError"):
            forwarder.forward(config, body("image"))
    assert logged(capsys)[0]["error"] == "ConnectionRefusedError"


def test_a_certificate_nobody_vouches_for_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    forwarder._tls.cache_clear()
    with pytest.raises(forwarder.DeliveryError, match="SSLCertVerificationError"):
        invoke(body("image"))
    assert not receiver.received


def test_a_certificate_of_another_host_is_refused(receiver: Receiver) -> None:
    config = forwarder.read_config(environ(receiver.url.replace("localhost", "127.0.0.1")))
    with pytest.raises(forwarder.DeliveryError, match="SSLCertVerificationError"):
        forwarder.forward(config, body("image"))


def test_an_answer_that_trickles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each byte would start a socket's time-out anew; only the limit on the whole ends this.
    monkeypatch.setattr(forwarder, "TOTAL_TIMEOUT_S", 1.0)
    ours, theirs = socket.socketpair()
    with ours, theirs, trickling(theirs), forwarder._time_limit(ours):
        received = b"".join(iter(lambda: ours.recv(1), b""))
    assert received.startswith(b"HTTP")


@contextmanager
def trickling(sock: socket.socket) -> Iterator[None]:
    """A peer that sends a byte every tenth of a second, for as long as it is let."""
    stop = threading.Event()

    def send() -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X" * 1000:
            if stop.wait(0.1):
                return
            try:
                sock.send(bytes([byte]))
            except OSError:
                return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    "message",
    ["", "[]", "null", "{}", '{"source": "aws.s3", "detail-type": "Object Deleted"}'],
)
def test_a_message_that_is_no_event_is_raised(message: str, receiver: Receiver) -> None:
    with pytest.raises(forwarder.EnvelopeError):
        invoke(message)
    assert not receiver.received


# --- configuration --------------------------------------------------------------------------------


def test_every_fault_of_the_environment_is_named() -> None:
    with pytest.raises(forwarder.ConfigurationError) as raised:
        forwarder.read_config({"GATEWAY_URL": "http://gateway.example.org"})
    for named in ("IMAGES_BUCKET", "KEY_PREFIX", "https://", "GATEWAY_API_KEY"):
        assert named in str(raised.value)


def test_two_sources_of_the_key_are_one_too_many(receiver: Receiver) -> None:
    with pytest.raises(forwarder.ConfigurationError, match="exactly one"):
        forwarder.read_config(environ(receiver.url) | {"GATEWAY_API_KEY_SECRET": "arn"})


# --- the key in AWS -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    with running_ministack(tmp_path_factory.mktemp("ministack")) as ministack:
        yield ministack


@pytest.fixture
def in_aws(ministack: Ministack, monkeypatch: pytest.MonkeyPatch) -> Ministack:
    """Lambda's environment: boto3 finds region, credentials and the emulator."""
    variables: Mapping[str, str] = CREDENTIALS | {
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL": ministack.url,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    boto3.setup_default_session()
    return ministack


def keep_secret(ministack: Ministack, value: str) -> dict[str, str]:
    secrets = ministack.client("secretsmanager")
    try:
        arn = secrets.create_secret(Name="forwarder", SecretString=value)["ARN"]
    except secrets.exceptions.ResourceExistsException:
        arn = secrets.put_secret_value(SecretId="forwarder", SecretString=value)["ARN"]
    return {"GATEWAY_API_KEY": "", "GATEWAY_API_KEY_SECRET": arn}


def keep_parameter(ministack: Ministack, value: str) -> dict[str, str]:
    ministack.client("ssm").put_parameter(
        Name="/radstream/key", Value=value, Type="SecureString", Overwrite=True
    )
    return {"GATEWAY_API_KEY": "", "GATEWAY_API_KEY_PARAMETER": "/radstream/key"}


@pytest.mark.parametrize("keep", [keep_secret, keep_parameter])
def test_the_key_is_read_once_and_again_when_it_was_replaced(
    keep: Any, in_aws: Ministack, receiver: Receiver
) -> None:
    config = forwarder.read_config(environ(receiver.url) | keep(in_aws, "old"))
    forwarder.forward(config, body("image"))
    keep(in_aws, "new")
    forwarder.forward(config, body("image"))  # from the cache: nobody said it was wrong
    receiver.answer(401)
    forwarder.forward(config, body("image"))
    keys = [request.headers["X-API-Key"] for request in receiver.wait_for(4)]
    assert keys == ["old", "old", "old", "new"]


def test_a_key_that_stays_wrong_is_asked_for_once_more_only(
    in_aws: Ministack, receiver: Receiver
) -> None:
    config = forwarder.read_config(environ(receiver.url) | keep_secret(in_aws, "wrong"))
    receiver.answer(401, 401)
    with pytest.raises(forwarder.DeliveryError, match="401"):
        forwarder.forward(config, body("image"))
    assert len(receiver.received) == 2


# --- the log --------------------------------------------------------------------------------------


def test_the_log_is_one_line_that_tells_neither_key_nor_name(
    receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.answer(200, 422)
    named = "images/Doe^Jane_1961-04-12/chest.jpg"
    invoke(changed(key=named), changed(key=named))
    output = capsys.readouterr().out
    assert not re.search(r"Doe|Jane|1961|chest|images/|key-1", output)
    lines = [json.loads(line) for line in output.splitlines()]
    assert [line["outcome"] for line in lines] == ["delivered", "refused"]
    assert set(lines[0]) == {
        "event", "outcome", "event_id", "object_ref", "ms", "status", "problem"
    }  # fmt: skip


def test_an_operator_can_find_an_objects_line_by_key_and_version() -> None:
    # printf '%s' 'radstream-dev-images/images/flat.jpg?versionId=' | sha256sum | cut -c1-16
    assert forwarder.parse(body("unversioned")).ref == "05995eadb9d4f745"


# --- its weight -----------------------------------------------------------------------------------


def test_a_cold_start_loads_the_standard_library_alone() -> None:
    program = (
        "import sys, serverless.forwarder; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    command = [sys.executable, "-S", "-c", program]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    foreign = set(loaded.split()) - set(sys.stdlib_module_names) - {"serverless", "__main__"}
    assert not {name for name in foreign if not name.startswith("_")}
