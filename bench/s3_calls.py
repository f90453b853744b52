"""CPU of the calls by which the gateway writes to S3 and reads its documents.

    python -m bench.s3_calls [--calls 2000] [--rounds 3]

Each call is made by the store, which uses obstore, and by aiobotocore, in turn and sixteen at once,
against an emulator in a process of its own. Counted is the CPU time of this process with all its
threads, and that of the event loop's thread alone.
"""

import argparse
import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.results import PLACE, keep
from gateway.storage.s3 import S3Store
from tests.support.aws import running_ministack
from tests.support.s3 import aws_environment, new_store

_AT_ONCE = 16
_WARM_UP = 100
_TYPE = "application/octet-stream"
_DOCUMENT = secrets.token_bytes(4096)
_IMAGE = secrets.token_bytes(1_400_000)
_LIBRARIES = ("aiobotocore", "obstore")

Call = Callable[[str], Awaitable[Any]]


def calls_of(store: S3Store) -> dict[str, tuple[Call, Call]]:
    """Each call by either library, in the order of `_LIBRARIES`; the key is one never used yet."""
    client, bucket = store._client, store._bucket  # noqa: SLF001 - of the same connection's settings

    async def get(_: str) -> bytes:
        response = await client.get_object(Bucket=bucket, Key="document")
        async with response["Body"] as body:
            return bytes(await body.read())

    def put(data: bytes) -> Call:
        return lambda key: client.put_object(
            Bucket=bucket, Key=key, Body=data, ContentType=_TYPE, IfNoneMatch="*"
        )

    return {
        "read a document of 4 KiB": (get, lambda _: store.read_tagged("document")),
        "write a document of 4 KiB": (
            put(_DOCUMENT),
            lambda key: store.swap(key, _DOCUMENT, tag=None, media_type=_TYPE),
        ),
        "write an image of 1.4 MB": (
            put(_IMAGE),
            lambda key: store.create(key, _IMAGE, media_type=_TYPE),
        ),
        "remove an object": (
            lambda key: client.delete_object(Bucket=bucket, Key=key),
            store.delete,
        ),
    }


async def cpu_ms(call: Call, count: int) -> tuple[float, float]:
    """CPU milliseconds a call, of the process and of the event loop's thread."""
    keys = iter([secrets.token_hex(8) for _ in range(_WARM_UP + count)])

    async def caller(some: Iterable[str]) -> None:
        for key in some:
            await call(key)

    await caller(next(keys) for _ in range(_WARM_UP))
    process, thread = time.process_time(), time.thread_time()
    await asyncio.gather(*(caller(keys) for _ in range(_AT_ONCE)))
    process, thread = time.process_time() - process, time.thread_time() - thread
    return 1000 * process / count, 1000 * thread / count


async def measured(count: int, rounds: int) -> dict[str, list[list[float]]]:
    """For each call and library the medians of the process and of the event loop's thread."""
    found: dict[str, list[list[float]]] = {}
    with (
        aws_environment(),
        TemporaryDirectory(dir=PLACE) as folder,
        running_ministack(Path(folder)) as emulator,
    ):
        async with new_store(emulator.url) as store:
            await store.replace("document", _DOCUMENT, media_type=_TYPE)
            for name, by_library in calls_of(store).items():
                times = count // 10 if "1.4 MB" in name else count
                taken = [[await cpu_ms(call, times) for call in by_library] for _ in range(rounds)]
                found[name] = [
                    [statistics.median(at) for at in zip(*of_one, strict=True)]
                    for of_one in zip(*taken, strict=True)
                ]
                print(name, found[name])
    return found


def markdown(found: dict[str, list[list[float]]]) -> str:
    """A table of the calls."""
    heads = [f"{library}, ms | in the event loop's thread" for library in _LIBRARIES]
    rows = [f"| call | {' | '.join(heads)} |", "|---|---:|---:|---:|---:|"]
    for name, by_library in found.items():
        cells = [f"{ms:.2f}" for of_one in by_library for ms in of_one]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Measure, and keep what was measured for `bench.report`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    PLACE.mkdir(exist_ok=True)
    found = asyncio.run(measured(asked.calls, asked.rounds))
    keep("s3_calls", found)
    print(markdown(found))


if __name__ == "__main__":
    main()
