"""Sites of drills: gateways on buckets, or on one machine's folders."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.storage.folder import FolderStore
from gateway.storage.s3 import S3Store
from tests.support.aws import CREDENTIALS
from tests.support.drill import STUDY_REF_KEY, Load, Site, Slot, running_slots
from tests.support.dropfolder import Bucket
from tests.support.kinesis import Front, front, kinesis, make_stream, records_in
from tests.support.s3 import Faults, faults, make_buckets, s3, store_settings
from tests.support.telemetry import events_in

GATEWAYS = 2
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


@dataclass
class Place:
    """A site with what its faults are done to; None where it has no such thing.

    Attributes
    ----------
    disk
        The file system of the spools, and of the store where that is a folder.
    clocks
        The shifts of the gateways' clocks, if there are any.
    """

    site: Site
    triton_url: str
    disk: Path
    proxy: Faults | None = None
    stream: Front | None = None
    clocks: list[Path] | None = None


def _environment(
    triton_url: str,
    folder: Path,
    name: str,
    clock: Path | None = None,
    *,
    timeout_s: float,
    workers: int,
) -> dict[str, str]:
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_HTTP__WORKERS": str(workers),
        "RADSTREAM_HTTP__REQUEST_TIMEOUT_S": str(timeout_s),
        "RADSTREAM_TRITON__URL": triton_url,
        "RADSTREAM_PENDING__SWEEP_S": "3",
        "RADSTREAM_DROPFOLDER__SWEEP_S": "3",
        "RADSTREAM_TELEMETRY__LINGER_MS": "100",
        "RADSTREAM_TELEMETRY__STUDY_REF_KEY": STUDY_REF_KEY,
        "RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(folder / f"spool-{name}"),
        "RADSTREAM_LOGS__FORMAT": "json",
    }
    if clock is not None:
        clock.write_text("+0")
        variables |= {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    return variables


@asynccontextmanager
async def bucket_place(
    triton_url: str, s3_url: str, folder: Path, *, timeout_s: float, clocks: bool, workers: int = 1
) -> AsyncIterator[tuple[Place, Load]]:
    """Two gateways on S3 and Kinesis, each behind something that does faults to them.

    Parameters
    ----------
    timeout_s
        Seconds that a gateway gives a study.
    clocks
        True if the gateways' clocks can be shifted, by libfaketime.
    workers
        Processes of each gateway.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(s3(s3_url))
        store = store_settings(s3_url)
        await make_buckets(client, store)
        proxy = await stack.enter_async_context(faults(s3_url, folder))
        await proxy.set()
        before = await stack.enter_async_context(front(s3_url))
        api = await stack.enter_async_context(kinesis(s3_url))
        stream = await make_stream(api)
        bucket = Bucket(client, store)
        shifts = [folder / f"clock-{n}" for n in range(GATEWAYS)] if clocks else None
        slots = [
            Slot(
                str(n),
                **CREDENTIALS,
                **_environment(
                    triton_url,
                    folder,
                    str(n),
                    shifts[n] if shifts else None,
                    timeout_s=timeout_s,
                    workers=workers,
                ),
                RADSTREAM_STORE__KIND="s3",
                RADSTREAM_STORE__ENDPOINT=proxy.url,
                RADSTREAM_STORE__IMAGES_BUCKET=str(store.images_bucket),
                RADSTREAM_STORE__RESULTS_BUCKET=str(store.results_bucket),
                RADSTREAM_STORE__TIMEOUT_S=str(0.75 * timeout_s),
                RADSTREAM_TELEMETRY__KIND="kinesis",
                RADSTREAM_TELEMETRY__STREAM_NAME=stream,
                RADSTREAM_TELEMETRY__ENDPOINT=before.url,
                RADSTREAM_TELEMETRY__TIMEOUT_S="4",
            )
            for n in range(GATEWAYS)
        ]

        async def drop(study_id: str, image: bytes, sidecar: bytes) -> None:
            for name, data in (("x.png", image), ("x.json", sidecar)):
                event = await bucket.put(f"images/{study_id}/{name}", data)
                await load.deliver(event)

        async def events() -> list[dict[str, Any]]:
            told = [json.loads(record.data) for record in await records_in(api, stream)]
            return [event for event in told if event["schema"] == "radstream.telemetry/1"]

        results = S3Store(client, str(store.results_bucket), timeout_s=30, encryption={})
        site = Site(slots, results, drop, events)
        load = Load(site)
        place = Place(site, triton_url, folder, proxy=proxy, stream=before, clocks=shifts)
        async with running_slots(slots):
            yield place, load


@asynccontextmanager
async def folder_place(
    triton_url: str, folder: Path, *, timeout_s: float, workers: int = 1
) -> AsyncIterator[tuple[Place, Load]]:
    """Two gateways on the same folders, each of so many processes."""
    store, dropped = folder / "store", folder / "dropfolder"
    slots = [
        Slot(
            str(n),
            **_environment(triton_url, folder, str(n), timeout_s=timeout_s, workers=workers),
            RADSTREAM_STORE__FOLDER=str(store),
            RADSTREAM_DROPFOLDER__FOLDER=str(dropped),
            RADSTREAM_DROPFOLDER__WATCH="true",
            RADSTREAM_DROPFOLDER__SETTLE_S="0.2",
            RADSTREAM_TELEMETRY__KIND="file",
            RADSTREAM_TELEMETRY__FOLDER=str(folder / f"telemetry-{n}"),
        )
        for n in range(GATEWAYS)
    ]

    async def drop(study_id: str, image: bytes, sidecar: bytes) -> None:
        for earlier in list(dropped.glob("*")):  # as senders do: a gateway looks at all at a start
            if (store / "results" / earlier.name / "result.json").exists():
                shutil.rmtree(earlier)
        place_of_its_own = dropped / study_id
        while True:
            try:
                place_of_its_own.mkdir(parents=True, exist_ok=True)
                (place_of_its_own / "x.png").write_bytes(image)
                (place_of_its_own / "x.json").write_bytes(sidecar)
            except OSError:  # the disk is full for the sender too
                await asyncio.sleep(0.1)
            else:
                return

    async def events() -> list[dict[str, Any]]:
        return [event for n in range(GATEWAYS) for event in events_in(folder / f"telemetry-{n}")]

    site = Site(slots, FolderStore(store), drop, events)
    async with running_slots(slots):
        yield Place(site, triton_url, folder), Load(site)
