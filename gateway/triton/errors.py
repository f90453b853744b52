"""Translation of the errors that grpc raises for a call to Triton into the gateway's own."""

from __future__ import annotations

import asyncio
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc

from gateway.errors import (
    BackendDiedError,
    DeadlineExceededError,
    InferenceFailedError,
    InferenceOverloadedError,
    InferenceUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.runtime.deadline import Deadline

# Triton's words for a full queue: its status, UNAVAILABLE, is also that of a stopped server.
_QUEUE_FULL = "Exceeds maximum queue size"
_QUEUE_TIMEOUT = "Request timeout expired"
# A server that was started anew has forgotten what was registered with the old one.
_REGION_UNKNOWN = "Unable to find shared memory region"
# A backend process that died leaves the model "ready"; only a reload mends it. The second are the
# words for one that died with a lock of Triton's in its hands.
_BACKEND_DIED = ("is not healthy", "Failed to obtain the health mutex")
_INSTANCE = re.compile(r"Stub process '([^']*)'")
# What grpc says, under UNKNOWN and INTERNAL too, of a connection that broke during a call.
_BROKEN = ("Stream removed", "RST_STREAM", "Socket closed", "Connection reset")


def region_is_unknown(error: BaseException) -> bool:
    """Return True if Triton knows nothing of a shared region that was registered with it."""
    return isinstance(error, grpc.aio.AioRpcError) and _REGION_UNKNOWN in (error.details() or "")


@contextmanager
def translated(stage: str, model_name: str, deadline: Deadline) -> Iterator[None]:
    """Turn what grpc raises within into our errors."""
    if deadline.remaining_s() == 0:
        raise DeadlineExceededError(stage)  # grpc may answer even a call with no time at all
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise _error(stage, model_name, error, deadline) from error
    except grpc.aio.UsageError as error:  # the channel was closed under a call
        raise InferenceUnavailableError("the channel is closed") from error
    except asyncio.CancelledError:
        # grpc.aio cancels the call when its task is cancelled; a call cancelled from within
        # (the channel closing) looks the same but for the task.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise InferenceUnavailableError("the call was cancelled") from None


def _error(  # noqa: PLR0911 - one return a status reads better than a variable
    stage: str, model_name: str, error: grpc.aio.AioRpcError, deadline: Deadline
) -> Exception:
    status = error.code().name
    message = error.details() or ""
    match status:
        case "DEADLINE_EXCEEDED":
            return DeadlineExceededError(stage)
        case "UNAVAILABLE" if _QUEUE_FULL in message:
            return InferenceOverloadedError(model_name)
        case "UNAVAILABLE" if _QUEUE_TIMEOUT in message:
            return DeadlineExceededError("queue")
        case "UNAVAILABLE" | "CANCELLED":
            return InferenceUnavailableError("Triton does not answer")
        case "NOT_FOUND" if _REGION_UNKNOWN in message:
            return InferenceUnavailableError("Triton was started anew")
        case "NOT_FOUND":
            return InferenceUnavailableError(f"Triton does not serve {model_name}")
        case "INTERNAL" if any(words in message for words in _BACKEND_DIED):
            found = _INSTANCE.search(message)
            return BackendDiedError(
                f"the backend of {model_name} died", found.group(1) if found else ""
            )
        case "INTERNAL" | "UNKNOWN" if any(words in message for words in _BROKEN):
            return InferenceUnavailableError("the connection to Triton broke")
        case _ if deadline.remaining_s() == 0:
            return DeadlineExceededError(stage)
        case _:
            return InferenceFailedError(model_name, f"{status}: {message}"[:500])
