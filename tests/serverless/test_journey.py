"""An object's way into the gateway through the deployed stack.

The template goes through the emulator's CloudFormation and the packaged archive runs in a process
of its own: bucket → EventBridge → queue → forwarder → HTTPS.
"""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serverless.receiver import Receiver
from tests.support.aws import STACK, Ministack, Package, deploy, running_ministack


@pytest.fixture(scope="module")
def ministack(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """An emulator whose functions trust the receiver's certificate."""
    trust = {"SSL_CERT_FILE": str(receiver.ca_file)}
    with running_ministack(tmp_path_factory.mktemp("ministack"), trust) as ministack:
        yield ministack


@pytest.fixture(scope="module")
def outputs(ministack: Ministack, receiver: Receiver, dev: Package) -> dict[str, str]:
    """The outputs of the stack, deployed as packaged."""
    return deploy(ministack, dev, GatewayUrl=receiver.url)


@pytest.fixture
def drop(ministack: Ministack, outputs: dict[str, str], receiver: Receiver) -> Any:
    """Puts an object into the drop folder."""
    receiver.clear()
    s3 = ministack.client("s3")

    def put(key: str) -> None:
        s3.put_object(Bucket=outputs["ImagesBucketName"], Key=key, Body=b"\xff\xd8")

    return put


@pytest.mark.parametrize(
    "key",
    [
        "images/S-1/study.jpg",
        "images/S-1/study.json",
        "images/S-1/IM000001",
        "images/S-1/study.Json",
        "images/S-2/IM000001.DCM",
        "images/ward 3/left+right (1).png",
        "images/Thorax_Übersicht_胸部.jpeg",
    ],
)
def test_a_dropped_object_reaches_the_gateway(key: str, drop: Any, receiver: Receiver) -> None:
    drop(key)
    (request,) = receiver.wait_for(1)
    event = json.loads(request.body)
    assert request.path == "/v1/events/s3"
    assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    assert event["detail"]["object"]["key"] == key


def test_the_envelopes_kept_for_tests_are_of_the_emulators_shape(
    drop: Any, receiver: Receiver
) -> None:
    # The emulator leaves out the version and adds a field that AWS does not document.
    kept = json.loads((Path(__file__).parents[1] / "data/events/image.json").read_text())
    drop("images/S-3/study.jpg")
    event = json.loads(receiver.wait_for(1)[0].body)
    assert event.keys() == kept.keys()
    assert event["detail"].keys() - {"event-version"} == kept["detail"].keys()
    assert event["detail"]["object"].keys() | {"version-id"} == kept["detail"]["object"].keys()


def test_the_forwarder_shows_the_key_that_the_stack_made(
    drop: Any, ministack: Ministack, outputs: dict[str, str], receiver: Receiver
) -> None:
    secrets = ministack.client("secretsmanager")
    made = secrets.get_secret_value(SecretId=outputs["ForwarderApiKeyArn"])["SecretString"]
    drop("images/S-4/study.jpg")
    assert receiver.wait_for(1)[0].headers["X-API-Key"] == made
    assert len(made) == 48


def test_what_is_no_study_stays_where_it_is(drop: Any, receiver: Receiver) -> None:
    drop("reports/S-5/study.jpg")
    drop("images/S-5/last.jpg")  # what comes after them comes alone
    (request,) = receiver.wait_for(1)
    assert json.loads(request.body)["detail"]["object"]["key"] == "images/S-5/last.jpg"


def test_a_parked_study_is_noticed_without_its_name(
    ministack: Ministack, outputs: dict[str, str]
) -> None:
    sqs = ministack.client("sqs")
    mailbox = sqs.create_queue(QueueName="mailbox")["QueueUrl"]
    names = ["QueueArn"]
    arn = sqs.get_queue_attributes(QueueUrl=mailbox, AttributeNames=names)["Attributes"]["QueueArn"]
    ministack.client("sns").subscribe(
        TopicArn=outputs["NoticesTopicArn"], Protocol="sqs", Endpoint=arn
    )
    ministack.client("s3").put_object(
        Bucket=outputs["ResultsBucketName"], Key="parked/Doe_Jane/problem.json", Body=b"{}"
    )
    (message,) = sqs.receive_message(QueueUrl=mailbox, WaitTimeSeconds=20)["Messages"]
    assert "a study was parked at 20" in json.loads(message["Body"])["Message"]
    assert "Doe" not in message["Body"]


def test_telemetry_reaches_the_tables_partition_of_the_day(
    ministack: Ministack, outputs: dict[str, str]
) -> None:
    # Neither the wait for more nor the conversion to Parquet: the emulator has none of them.
    ministack.client("kinesis").put_records(
        StreamName=outputs["TelemetryStreamName"],
        Records=[{"Data": b'{"event_id": "e1"}', "PartitionKey": "s1"}],
    )
    s3 = ministack.client("s3")
    give_up = time.monotonic() + 60
    while not (found := s3.list_objects_v2(Bucket=outputs["TelemetryBucketName"]).get("Contents")):
        assert time.monotonic() < give_up, "nothing was delivered"
        time.sleep(0.1)
    assert re.match(r"telemetry/arrived_on=\d{4}-\d\d-\d\d/", found[0]["Key"])


def set_retries(ministack: Ministack, outputs: dict[str, str], *, pause_s: int, tries: int) -> None:
    """Shortens the queue's pause of 90 s and its 40 tries; nothing else of it changes."""
    policy = {
        "deadLetterTargetArn": outputs["UploadDeadLetterQueueArn"],
        "maxReceiveCount": tries,
    }
    ministack.client("sqs").set_queue_attributes(
        QueueUrl=outputs["UploadQueueUrl"],
        Attributes={"VisibilityTimeout": str(pause_s), "RedrivePolicy": json.dumps(policy)},
    )


def waiting(ministack: Ministack, queue_url: str) -> int:
    """How many messages the queue holds, in hands or not."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = ministack.client("sqs").get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
    return sum(int(answer["Attributes"][name]) for name in names)


def until_waiting(ministack: Ministack, queue_url: str, count: int) -> None:
    give_up = time.monotonic() + 60
    while waiting(ministack, queue_url) != count:
        assert time.monotonic() < give_up, f"the queue never held {count}"
        time.sleep(0.1)


def test_an_event_is_delivered_again_until_the_gateway_is_back(
    drop: Any, ministack: Ministack, outputs: dict[str, str], receiver: Receiver
) -> None:
    set_retries(ministack, outputs, pause_s=2, tries=5)
    receiver.answer(503, 429)
    drop("images/S-6/study.jpg")
    first, second, third = receiver.wait_for(3)
    assert first.body == second.body == third.body
    until_waiting(ministack, outputs["UploadQueueUrl"], 0)


def test_a_refusal_for_good_ends_the_event(
    drop: Any, ministack: Ministack, outputs: dict[str, str], receiver: Receiver
) -> None:
    set_retries(ministack, outputs, pause_s=2, tries=5)
    receiver.answer(422)
    drop("images/S-7/study.jpg")
    receiver.wait_for(1)
    until_waiting(ministack, outputs["UploadQueueUrl"], 0)
    assert len(receiver.received) == 1
    assert waiting(ministack, dead_letter_url(ministack)) == 0


def test_what_nobody_takes_is_parked_as_it_was(
    drop: Any, ministack: Ministack, outputs: dict[str, str], receiver: Receiver
) -> None:
    set_retries(ministack, outputs, pause_s=2, tries=2)
    receiver.answer(503, 503)
    drop("images/S-8/study.jpg")
    posted, _ = receiver.wait_for(2)
    parked = dead_letter_url(ministack)
    until_waiting(ministack, parked, 1)
    assert waiting(ministack, outputs["UploadQueueUrl"]) == 0
    (message,) = ministack.client("sqs").receive_message(QueueUrl=parked)["Messages"]
    assert message["Body"].encode() == posted.body


def dead_letter_url(ministack: Ministack) -> str:
    sqs = ministack.client("sqs")
    return str(sqs.get_queue_url(QueueName=f"{STACK}-uploads-dlq")["QueueUrl"])
