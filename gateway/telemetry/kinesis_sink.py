"""The telemetry sink as a Kinesis data stream."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError

from gateway.storage.aws_client import NO_ANSWER, aws_client
from gateway.telemetry.records import SinkUnavailableError, check_batch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager

    from gateway.telemetry.records import TelemetryRecord


def kinesis_client(*, region: str | None, endpoint: str | None) -> AbstractAsyncContextManager[Any]:
    """Return a client of Kinesis, open until the block ends; it connects at the first call.

    Nothing is repeated here: what was refused is
    the sender's to send again, record by record.

    Parameters
    ----------
    region, endpoint
        Of Kinesis; None leaves them to the environment.

    Raises
    ------
    SinkUnavailableError
        There is no region, or a profile that is not there.
    """
    config = AioConfig(connect_timeout=2.0, retries={"total_max_attempts": 1})
    return aws_client(
        "kinesis",
        region=region,
        endpoint=endpoint,
        config=config,
        unavailable=SinkUnavailableError,
    )


class KinesisSink:
    """Records in one data stream.

    Parameters
    ----------
    client
        From `kinesis_client`.
    stream_name
        Of the stream.
    timeout_s
        Seconds that one call may take in all.
    """

    def __init__(self, client: Any, stream_name: str, *, timeout_s: float) -> None:
        self._client = client
        self._stream_name = stream_name
        self._timeout_s = timeout_s

    async def put(self, records: Sequence[TelemetryRecord]) -> Sequence[int]:
        """See `TelemetrySink.put`; a record is refused for its shard's throughput, mostly."""
        check_batch(records)
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.put_records(
                    StreamName=self._stream_name,
                    Records=[{"Data": item.data, "PartitionKey": item.key} for item in records],
                )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise SinkUnavailableError(str(code)) from error
        except NO_ANSWER as error:
            raise SinkUnavailableError(type(error).__name__) from error
        except TimeoutError as error:
            raise SinkUnavailableError(f"no answer within {self._timeout_s:g} s") from error
        results = response["Records"]
        return [index for index, result in enumerate(results) if result.get("ErrorCode")]
