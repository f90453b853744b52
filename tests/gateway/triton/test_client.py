"""The Triton client, against the real server and one that answers what Triton never does."""

import asyncio
from typing import Any

import grpc
import numpy as np
import pytest

from gateway.errors import (
    BackendDiedError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
)
from gateway.runtime.deadline import Deadline
from gateway.triton.client import TritonClient
from gateway.triton.embedded import EmbeddedTriton
from gateway.triton.protocol import RepositoryEntry, TensorMetadata
from tests.gateway.triton.connected import (
    MESSAGE_BYTES,
    Scripted,
    connected,
    image,
    infer,
    soon,
)
from tests.support.inference import (
    GRPC_TIMEOUT_STEP_S,
    answers,
    brightness,
    inferred,
    never,
)
from tests.support.processes import backend_process, stopped, triton_process

NAN = float("nan")


async def test_index_tells_every_version(client: TritonClient):
    assert await client.repository_index(deadline=soon()) == [
        RepositoryEntry(name, "1", ready=True, reason="")
        for name in ("brightness", "queue_of_one", "waiting")
    ]


async def test_config_tells_tensors_and_parameters(client: TritonClient):
    config = await client.model_config("brightness", "1", deadline=soon())
    assert config.max_batch_size == 8
    assert config.inputs == (TensorMetadata("image", "FP32", (1, 32, 32)),)
    assert config.outputs == (
        TensorMetadata("logits", "FP32", (1,)),
        TensorMetadata("activation_map", "FP32", (1, 8, 8)),
    )
    assert '"schema": "radstream.model/1"' in config.parameters["radstream"]


async def test_answers_are_the_models(client: TritonClient):
    ramp = np.arange(1024, dtype=np.float32).reshape(1, 1, 32, 32) / 1023
    answer = await infer(client, inputs={"image": ramp})
    # The first 4x4 pixels hold 0..3, 32..35, 64..67 and 96..99: their mean is 49.5.
    assert answer["activation_map"][0, 0, 0, 0] == pytest.approx(8 * 49.5 / 1023 - 4)
    assert answer["activation_map"].shape == (1, 1, 8, 8)
    assert answer["logits"] == pytest.approx(np.zeros((1, 1)), abs=1e-5)
    assert answer["logits"].dtype == np.float32


async def test_only_what_is_asked_for_is_answered(client: TritonClient):
    assert list(await infer(client, outputs=["logits"])) == ["logits"]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("brightness", {"outputs": ["logits", "other"]}),
        ("brightness", {"inputs": {"other": image()["image"]}}),
        ("brightness", {"inputs": {"image": np.zeros((1, 1, 8, 8), np.float32)}}),
        ("brightness", {"inputs": {"image": np.zeros((1, 1, 32, 32), np.float64)}}),
        ("brightness", {"inputs": {}}),
        ("brightness", {"inputs": {"image": np.zeros((65, 1, 32, 32), np.float32)}}),  # > 2**18
    ],
)
async def test_call_that_does_not_fit_the_model_fails(
    own_triton: EmbeddedTriton, name: str, more: dict[str, Any]
):
    async with connected(own_triton.grpc_url, message_bytes=2**18) as client:
        with pytest.raises(InferenceFailedError) as caught:
            await infer(client, name, **more)
    assert caught.value.model_name == "brightness"


async def test_answer_beyond_the_message_size_fails(own_triton: EmbeddedTriton):
    async with connected(own_triton.grpc_url, message_bytes=5000) as client:
        await infer(client)
        with pytest.raises(InferenceFailedError, match="RESOURCE_EXHAUSTED"):
            # 4 KiB each go out, but the configuration that comes back has more than 5,000 bytes.
            await infer(client, inputs={"image": np.zeros((2, 1, 32, 32), np.float32)})


@pytest.mark.parametrize(("name", "version"), [("nothing", "1"), ("brightness", "7")])
async def test_model_that_is_not_there_is_unavailable(
    client: TritonClient, name: str, version: str
):
    with pytest.raises(InferenceUnavailableError, match="does not serve"):
        await infer(client, name, version=version)
    with pytest.raises(InferenceUnavailableError, match="does not serve"):
        await client.model_config(name, version, deadline=soon())


async def test_deadline_ends_a_call_that_waits(client: TritonClient):
    with pytest.raises(DeadlineExceededError) as caught:
        await infer(client, "waiting", deadline=Deadline.after(0.1))
    assert caught.value.stage == "inference"


async def test_deadline_that_is_over_ends_every_call_at_once(client: TritonClient):
    over = Deadline.after(-1)
    for call in (
        client.repository_index(deadline=over),
        client.model_config("brightness", "1", deadline=over),
        infer(client, deadline=over),
        client.reload_model("brightness", deadline=over),
    ):
        with pytest.raises(DeadlineExceededError):
            await call


async def test_full_queue_is_told_from_a_stopped_server(
    own_triton: EmbeddedTriton, client: TritonClient
):
    async with connected(own_triton.grpc_url) as other:
        calls = [
            asyncio.create_task(infer(each, "queue_of_one", deadline=Deadline.after(5)))
            for each in (client, other)
        ]
        # Both wait for a batch that never fills, but the queue holds one.
        done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        [refused], [queued] = done, waiting
        with pytest.raises(InferenceOverloadedError) as caught:
            await refused
        assert caught.value.model_name == "queue_of_one"
        queued.cancel()
        await asyncio.wait([queued])
        assert queued.cancelled()


async def test_reload_mends_a_model_whose_process_died(
    own_triton: EmbeddedTriton, client: TritonClient
):
    backend_process(own_triton.grpc_url, "brightness").kill()
    with pytest.raises(BackendDiedError) as caught:
        await infer(client)
    assert caught.value.instance == "brightness_0_0"
    index = await client.repository_index(deadline=soon())
    assert index[0] == RepositoryEntry("brightness", "1", ready=True, reason="")  # so it claims
    await client.reload_model("brightness", deadline=soon())
    assert await infer(client)


async def test_process_that_dies_under_a_call_ends_the_call(
    own_triton: EmbeddedTriton, client: TritonClient
):
    backend = backend_process(own_triton.grpc_url, "brightness")
    with stopped(backend):
        call = asyncio.create_task(infer(client))
        await asyncio.wait([call], timeout=0.1)  # it cannot end: its model stands still
        backend.kill()
        with pytest.raises(BackendDiedError):
            await call
    await client.reload_model("brightness", deadline=soon())


async def test_server_that_stands_still_costs_the_deadline_and_no_more(
    own_triton: EmbeddedTriton, client: TritonClient
):
    assert await infer(client)
    with stopped(triton_process(own_triton.grpc_url)):
        with pytest.raises(DeadlineExceededError):
            await client.repository_index(deadline=Deadline.after(0.1))
        with pytest.raises(DeadlineExceededError):
            await infer(client, deadline=Deadline.after(0.1))
    assert await infer(client)


async def test_server_that_is_killed_fails_its_calls_and_is_found_again(
    own_triton: EmbeddedTriton, client: TritonClient
):
    call = asyncio.create_task(infer(client, "waiting"))
    await asyncio.wait([call], timeout=0.1)
    triton_process(own_triton.grpc_url).kill()
    with pytest.raises(InferenceUnavailableError, match="does not answer"):
        await call
    with pytest.raises(InferenceUnavailableError, match="does not answer"):
        await infer(client)
    async with asyncio.timeout(180):  # the launcher starts it again; the channel finds it
        while True:
            try:
                assert await infer(client)
                break
            except InferenceUnavailableError:
                await asyncio.sleep(0.2)  # which leaves the core to Triton, where there is one


async def test_closing_the_channel_ends_its_calls_as_unavailable(own_triton: EmbeddedTriton):
    client = TritonClient(own_triton.grpc_url, message_bytes=MESSAGE_BYTES)
    assert await infer(client)
    call = asyncio.create_task(infer(client, "waiting"))
    await asyncio.wait([call], timeout=0.1)
    await client.close()
    with pytest.raises(InferenceUnavailableError, match="cancelled"):
        await call
    with pytest.raises(InferenceUnavailableError, match="closed"):
        await infer(client)


# --- what Triton never does ----------------------------------------------------------------------


def _without_a_byte() -> Any:
    answer = brightness()
    answer.raw_output_contents[0] = answer.raw_output_contents[0][:-1]
    return answer


def _of_another_shape() -> Any:
    answer = brightness()
    answer.outputs[0].shape[:] = [2, 3]
    return answer


def _without_bytes() -> Any:
    answer = brightness()
    del answer.raw_output_contents[:]
    return answer


def _of_no_type() -> Any:
    answer = brightness()
    answer.outputs[0].datatype = "FP7"
    return answer


def _of_a_text_type() -> Any:
    answer = brightness()
    answer.outputs[0].datatype = "BYTES"
    return answer


def _with_one_byte_too_many() -> Any:
    answer = brightness()
    answer.raw_output_contents[0] += b"x"
    return answer


def _with_one_tensors_bytes() -> Any:
    answer = brightness()
    del answer.raw_output_contents[1:]
    return answer


def _with_empty_bytes() -> Any:
    answer = brightness()
    answer.raw_output_contents[0] = b""
    return answer


@pytest.mark.parametrize("answer", [_with_one_byte_too_many(), _of_no_type(), _of_a_text_type()])
async def test_malformed_answer_is_a_failure_of_the_model(scripted: Scripted, answer: Any):
    triton, client = scripted
    triton.infer = answers(answer)
    with pytest.raises(InferenceFailedError, match="malformed"):
        await infer(client)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (inferred(), "brightness answers without logits"),
        (
            inferred(logits=np.zeros((1, 1), np.float32)),
            "brightness answers without activation_map",
        ),
        (_without_bytes(), "brightness answers with half of logits"),
        (_with_empty_bytes(), "brightness answers with half of logits"),
        (_without_a_byte(), "brightness answers with half of logits"),
        (_of_another_shape(), "brightness answers with half of logits"),
        (_with_one_tensors_bytes(), "brightness answers with half of activation_map"),
    ],
)
async def test_answer_of_a_server_that_crashes_is_none(
    scripted: Scripted, answer: Any, reason: str
):
    triton, client = scripted
    triton.infer = answers(answer)
    with pytest.raises(InferenceUnavailableError) as caught:
        await infer(client)
    assert (type(caught.value), caught.value.reason) == (InferenceUnavailableError, reason)


async def test_any_numbers_pass_the_client(scripted: Scripted):
    # Whether they make sense is for the contract to say.
    triton, client = scripted
    triton.infer = answers(brightness(NAN))
    answer = await infer(client)
    assert np.isnan(answer["logits"]).all()


async def test_cancelled_caller_cancels_the_call_at_the_server(scripted: Scripted):
    triton, client = scripted
    triton.infer = never
    call = asyncio.create_task(infer(client))
    await triton.arrived.wait()
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    await triton.cancelled.wait()


async def test_deadline_cancels_the_call_at_the_server(scripted: Scripted):
    triton, client = scripted
    triton.infer = never
    with pytest.raises(DeadlineExceededError):
        await infer(client, deadline=Deadline.after(0.1))
    await triton.cancelled.wait()


async def test_calls_at_once_share_one_connection(scripted: Scripted):
    triton, client = scripted
    await asyncio.gather(*(infer(client) for _ in range(20)))
    assert triton.calls == ["infer"] * 20
    assert len(triton.peers) == 1


async def test_server_sees_the_time_that_is_left(scripted: Scripted):
    triton, client = scripted
    seen: list[tuple[float, int]] = []

    async def note(request: Any, context: grpc.aio.ServicerContext) -> Any:
        seen.append((context.time_remaining(), request.parameters["timeout"].int64_param))
        return brightness()

    triton.infer = note
    await infer(client, deadline=Deadline.after(20))
    [(seconds, microseconds)] = seen
    assert 10 < seconds <= 20 + GRPC_TIMEOUT_STEP_S
    assert 10_000_000 < microseconds <= 20_000_000


async def test_proxy_of_the_environment_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, own_triton: EmbeddedTriton
):
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("no_grpc_proxy", raising=False)
    async with connected(own_triton.grpc_url) as client:
        assert await infer(client)


async def test_nothing_listens(unused_tcp_port: int):
    async with connected(f"127.0.0.1:{unused_tcp_port}") as client:
        with pytest.raises(InferenceUnavailableError):
            await infer(client)
