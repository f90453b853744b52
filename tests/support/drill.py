"""A fault drill: real processes under constant mixed load, and the verdict at the end.

The load is sent as its senders do it: again after 503, 504 and broken connections, never after
another answer. What was accepted once is written down, and all of it has to be there at the end.
"""

import asyncio
import json
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from gateway.observability.pseudonyms import Pseudonyms
from gateway.storage.protocol import ObjectStore
from gateway.studies.study import Route
from tests.support.gateway import Command, client_of, metadata, multipart, running_command, until
from tests.support.models import png

STUDY_REF_KEY = "a key of more than thirty-two characters"

# What a sender repeats unchanged: the gateway says so, or nobody answered.
_REPEATED = {503, 504}
_DROPPED = "radstream_telemetry_dropped_total{"
_EXPECTED = {200, 202} | _REPEATED


class Slot:
    """A place for a gateway: whenever its process ends before the drill does, another begins."""

    def __init__(self, name: str, **environment: str) -> None:
        self.name = name
        self.environment = environment
        self.client: httpx.AsyncClient | None = None
        self.lives: list[Command] = []
        self.killed: list[Command] = []
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Begin a process, and return once it answers."""
        command = await self._stack.enter_async_context(
            running_command("serve", **self.environment)
        )
        self.lives.append(command)
        self.client = await self._stack.enter_async_context(client_of(await command.url()))

    async def kill(self) -> None:
        """End the process at once, and begin another in its place."""
        command, self.client = self.lives[-1], None
        self.killed.append(command)
        command.process.send_signal(signal.SIGKILL)
        await self._stack.aclose()
        await self.start()

    async def stop(self) -> int:
        """The exit code after a stop in order."""
        self.client = None
        code = await self.lives[-1].stop()
        await self.close()
        return code

    async def close(self) -> None:
        """End the process, whatever it is at."""
        await self._stack.aclose()


@dataclass
class Site:
    """Gateways and their storage, on which a drill is held.

    Attributes
    ----------
    slots
        The gateways.
    store
        Their store, past all faults.
    drop
        Puts an image and its sidecar where files are dropped; returns once that is accepted.
    events
        Every telemetry event that arrived, past all faults.
    """

    slots: Sequence[Slot]
    store: ObjectStore
    drop: Callable[[str, bytes, bytes], Awaitable[None]]
    events: Callable[[], Awaitable[list[dict[str, Any]]]]

    async def client(self) -> httpx.AsyncClient:
        """Of any gateway that runs."""
        while True:
            running = [slot.client for slot in self.slots if slot.client is not None]
            if running:
                return random.choice(running)  # noqa: S311 - any will do
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running_slots(slots: Sequence[Slot]) -> AsyncIterator[None]:
    """Gateways that run, until they are stopped or the block ends."""
    try:
        for slot in slots:
            await slot.start()
        yield
    finally:
        for slot in slots:
            await slot.close()


@dataclass
class Load:
    """Senders, and what they were told.

    Attributes
    ----------
    accepted
        Moment of each study's acceptance, by its id.
    answers
        Number of answers by status; 0 stands for a broken connection.
    unexpected
        Answers that no sender has to bear.
    """

    site: Site
    rng: random.Random = field(default_factory=random.Random)
    accepted: dict[str, float] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    _sent: int = 0

    @asynccontextmanager
    async def running(self, pause_s: float) -> AsyncIterator[None]:
        """Send in every way there is, each study a while after the one before is accepted."""
        ways = (self._post, self._post_async, self._drop)
        tasks = [asyncio.create_task(self._send_for_ever(way, pause_s)) for way in ways]
        stopping = False
        try:
            yield
            stopping = True
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            failures = [e for e in ended if not isinstance(e, asyncio.CancelledError)]
            if stopping:
                assert failures == []

    async def _send_for_ever(
        self, way: Callable[[str, bytes], Awaitable[None]], pause_s: float
    ) -> None:
        while True:
            self._sent += 1
            pixels = np.frombuffer(self.rng.randbytes(32 * 32), np.uint8).reshape(32, 32)
            study_id = f"{way.__name__.strip('_')}-{self._sent}"
            # Cancelled between two studies alone: a sender that goes away loses nothing.
            await asyncio.shield(self._accepted(way, study_id, png(pixels)))
            await asyncio.sleep(pause_s)

    async def _accepted(
        self, way: Callable[[str, bytes], Awaitable[None]], study_id: str, image: bytes
    ) -> None:
        await way(study_id, image)
        self.accepted[study_id] = time.monotonic()

    async def _post(self, study_id: str, image: bytes) -> None:
        await self._request("/v1/studies", **multipart(metadata(study_id=study_id), image))

    async def _post_async(self, study_id: str, image: bytes) -> None:
        sent = multipart(metadata(study_id=study_id), image)
        await self._request("/v1/studies", headers={"Prefer": "respond-async"}, **sent)

    async def _drop(self, study_id: str, image: bytes) -> None:
        sidecar = json.dumps(metadata(study_id=study_id)).encode()
        await self.site.drop(study_id, image, sidecar)

    async def deliver(self, event: dict[str, Any]) -> None:
        """Bring an event until a gateway has taken it, as the queue does."""
        await self._request("/v1/events/s3", json=event)

    async def _request(self, path: str, **request: Any) -> None:
        while True:
            try:
                answer = await (await self.site.client()).post(path, **request)
            except (httpx.TransportError, RuntimeError):  # the client was closed with its gateway
                self.answers[0] += 1
            else:
                self.answers[answer.status_code] += 1
                if answer.status_code not in _EXPECTED:
                    self.unexpected.append(f"{path}: {answer.status_code} {answer.text}")
                if answer.status_code not in _REPEATED:
                    return
            await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Verdict:
    """Fate of the accepted studies.

    Attributes
    ----------
    read, parked
        Of the accepted studies: how many are stored, and which problem parked the others.
    events, dropped
        Telemetry that arrived, and records that the gateways counted as dropped: with neither a
        sink nor a disk there is no place for them.
    lost, twice, pending, errors, untold, overtold
        Studies and records for which these must not be; see `faults`.
    """

    read: int
    parked: dict[str, str]
    events: int
    dropped: int
    lost: list[str]
    twice: list[str]
    pending: list[str]
    errors: list[str]
    untold: list[str]
    overtold: list[str]

    def faults(self) -> dict[str, list[str]]:
        """All that must not be, by what it is."""
        found = {
            "lost": self.lost,
            "stored twice": self.twice,
            "still pending": self.pending,
            "unexpected errors": self.errors,
            # Each such study lacks one record at the least.
            "without telemetry": self.untold if len(self.untold) > self.dropped else [],
            "with more telemetry than readings": self.overtold,
        }
        return {name: items for name, items in found.items() if items}


async def settled(site: Site, load: Load, timeout_s: float) -> None:
    """Return once nothing accepted is on its way any more."""

    async def is_settled() -> bool:
        stored = await _studies(site.store)
        waiting = set(load.accepted) - stored.keys() - (await _parked(site.store)).keys()
        return not waiting and not await _pending(site.store)

    with suppress(TimeoutError):  # the verdict says what is missing
        await until(is_settled, timeout_s)


async def verdict(site: Site, load: Load) -> Verdict:
    """Stop the gateways in order, and return the fate of all that was accepted."""
    dropped = sum([await _dropped(slot) for slot in site.slots])
    codes = [await slot.stop() for slot in site.slots]
    stored = await _studies(site.store)
    parked = await _parked(site.store)
    events = await site.events()
    told = Counter(
        event["study_ref"]
        for event in {event["event_id"]: event for event in events}.values()
        if event["stage"] == "total" and event["status"] == "success"
    )
    kept, doomed, errors = _lines(site.slots)
    pseudonyms = Pseudonyms(STUDY_REF_KEY)
    names = {pseudonyms.study_ref(study_id): study_id for study_id in load.accepted}
    return Verdict(
        read=len(load.accepted.keys() & stored.keys()),
        parked={name: parked[name] for name in load.accepted if name in parked},
        events=len(events),
        dropped=dropped,
        lost=sorted(load.accepted.keys() - stored.keys() - parked.keys()),
        twice=[name for name, readings in stored.items() if readings != 1],
        pending=await _pending(site.store),
        errors=errors + [f"exit code {code}" for code in codes if code],
        untold=[names.get(ref, ref) for ref, count in kept.items() if told[ref] < count],
        overtold=[
            names.get(ref, ref) for ref, count in told.items() if count > kept[ref] + doomed[ref]
        ],
    )


async def _dropped(slot: Slot) -> int:
    """Telemetry records that the gateway says it dropped."""
    assert slot.client is not None
    text = (await slot.client.get("/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith(_DROPPED)]
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


async def _studies(store: ObjectStore) -> dict[str, int]:
    """Return the number of readings of each study in the store that has any."""
    views = await _views(store)
    readings = {
        view["study_id"]: sum(len(image["readings"]) for image in view["images"]) for view in views
    }
    return {study_id: count for study_id, count in readings.items() if count}


async def _views(store: ObjectStore) -> list[dict[str, Any]]:
    keys = [key for key in await store.keys("results/") if key.endswith("/result.json")]
    return [json.loads(await store.read(key)) for key in keys]


async def _parked(store: ObjectStore) -> dict[str, str]:
    """The kind of problem of each study that is parked."""
    items = [json.loads(await store.read(key)) for key in await store.keys("parked/")]
    return {_study_of(item["key"]): item["problem"]["type"] for item in items}


def _study_of(key: str) -> str:
    return key.split("/")[1 if key.startswith("results/") else -2]


async def _pending(store: ObjectStore) -> list[str]:
    """Studies of which accepted work is neither done nor parked."""
    return [view["study_id"] for view in await _views(store) if view["record"].get("pending")]


def _lines(slots: Iterable[Slot]) -> tuple[Counter[str], Counter[str], list[str]]:
    """Return how often each is to be told, by gateways that ended in order and by others.

    And every unexpected error.
    """
    kept: Counter[str] = Counter()
    doomed: Counter[str] = Counter()
    errors = []
    for life, was_killed in ((life, life in slot.killed) for slot in slots for life in slot.lives):
        dead: set[int | None] = set()  # workers that died later; read from the end
        for text in reversed(life.err):
            try:
                line = json.loads(text)
            except ValueError:  # the last line of a process that was killed, or no log line
                if not (was_killed or dead):
                    errors.append(text)
                continue
            worker = line.get("worker")
            if line.get("event") == "worker.died":
                dead.add(worker)
            ends = doomed if was_killed or worker in dead else kept
            if line.get("event") == "study.completed":
                # Each is of one dropped image: its event has the same id at each delivery.
                once = line["route"] in {Route.EVENT, Route.FOLDER}
                ends[line["study_ref"]] = 1 if once else ends[line["study_ref"]] + 1
            told = line.get("event") == "audit.not_written"  # as it must, on a full disk
            if ("exception" in line or "Traceback" in text) and not told:
                errors.append(text)
    return kept, doomed, errors
