"""What grpc raises becomes an error of the gateway's own, by status and by Triton's words."""

import grpc
import pytest

from gateway.errors import (
    BackendDiedError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
    RadStreamError,
)
from tests.gateway.triton.connected import Scripted, infer, soon
from tests.support.inference import (
    refuses,
)

STATUSES: dict[grpc.StatusCode, type[RadStreamError]] = {
    grpc.StatusCode.CANCELLED: InferenceUnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.NOT_FOUND: InferenceUnavailableError,
    grpc.StatusCode.UNAVAILABLE: InferenceUnavailableError,
}


@pytest.mark.parametrize("status", [s for s in grpc.StatusCode if s is not grpc.StatusCode.OK])
async def test_every_status_is_an_error_of_ours(scripted: Scripted, status: grpc.StatusCode):
    triton, client = scripted
    triton.infer = triton.index = triton.config = triton.load = refuses(status, "why")
    expected = STATUSES.get(status, InferenceFailedError)
    for call in (
        infer(client),
        client.repository_index(deadline=soon()),
        client.model_config("brightness", "1", deadline=soon()),
        client.reload_model("brightness", deadline=soon()),
    ):
        with pytest.raises(RadStreamError) as caught:
            await call
        assert type(caught.value) is expected
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [
        ("UNAVAILABLE", "Exceeds maximum queue size", InferenceOverloadedError),
        ("UNAVAILABLE", "Request timeout expired", DeadlineExceededError),
        ("INTERNAL", "Stub process 'x_0_0' is not healthy.", BackendDiedError),
        ("INTERNAL", "Stub process is not healthy.", BackendDiedError),
        ("INTERNAL", "Failed to obtain the health mutex.", BackendDiedError),
        ("INTERNAL", "Received RST_STREAM with error code 2", InferenceUnavailableError),
        ("UNKNOWN", "Stream removed", InferenceUnavailableError),
    ],
)
async def test_tritons_words_tell_apart_what_one_status_means(
    scripted: Scripted, status: str, detail: str, expected: type[RadStreamError]
):
    triton, client = scripted
    triton.infer = refuses(grpc.StatusCode[status], f"[request id: 1] {detail}")
    with pytest.raises(expected) as caught:
        await infer(client)
    assert type(caught.value) is expected


async def test_reason_of_a_failure_is_cut(scripted: Scripted):
    triton, client = scripted
    triton.infer = refuses(grpc.StatusCode.INTERNAL, "x" * 5000)
    with pytest.raises(InferenceFailedError) as caught:
        await infer(client)
    assert caught.value.reason == f"INTERNAL: {'x' * 490}"
