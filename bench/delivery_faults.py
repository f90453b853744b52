"""Faults of destinations, and kills of the gateway, between a study and its results in archives.

    python -m bench.delivery_faults --rounds 50 --seed 1

`radstream serve` runs before the real Triton and brings structured reports and Secondary Captures
to three archives: a real Orthanc over C-STORE, an archive that is full now and then (A700), and one
on the web that answers STOW-RS with 409 and 503. In each round one to three studies are sent by
STOW-RS; meanwhile Orthanc is killed, stopped (SIGSTOP) or made to reject the called AE title, the
others answer with faults, and in two rounds of three the gateway is killed (SIGKILL) within two
seconds of the last answer. Then Orthanc comes back. What is parked at the end is retried. Each
archive has to hold exactly one report and one capture for each study: Orthanc by QIDO-RS, the
others by what they took. It ends with status 1 otherwise.
"""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

import httpx
from pydicom.uid import generate_uid

from tests.support.delivery import deliveries, dicom, routing, stow
from tests.support.delivery_archives import Archive, WebArchive, archive, failed, web_archive
from tests.support.dicom import radiograph
from tests.support.dimse import free_port
from tests.support.gateway import Command, client_of, running_command, until
from tests.support.models import write_repository
from tests.support.orthanc import Orthanc, running_orthanc
from tests.support.triton import running_triton

TITLE = "ORTHANC"
ARCHIVES = ("orthanc", "full", "web")
RENDERINGS = ("structured-report", "secondary-capture")
MODALITIES = ("SR", "OT")  # of each rendering
MOST_STUDIES = 3
LONGEST_FAULT_S, LONGEST_WAIT_S = 2.0, 2.0
SETTLED_S = 240.0
KILLED, STOPPED, REJECTING, NONE = "killed", "stopped", "rejecting", "none"
_ENDED = {"acknowledged", "confirmed"}


@dataclass
class Outcome:
    """Studies that were sent, the faults they met, and what is wrong at the end.

    Attributes
    ----------
    wrong
        Archive, Modality, study and number of objects where that is not one.
    faults
        Number of rounds by fault of Orthanc, and of kills of the gateway.
    states, attempts
        Deliveries by state, and the attempts at them.
    parked
        Deliveries that an operator had to retry.
    """

    studies: list[str] = field(default_factory=list)
    wrong: list[tuple[str, str, str, int]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    parked: int = 0


class OrthancSite:
    """An Orthanc on one port and one folder, whatever becomes of its processes."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._stack = AsyncExitStack()
        self._now: Orthanc | None = None

    @property
    def now(self) -> Orthanc:
        """The process that runs."""
        if self._now is None:
            raise RuntimeError("it does not run")
        return self._now

    async def start(self, title: str = TITLE) -> None:
        """Begin a process in place of the one before."""
        await self._stack.aclose()
        self._now = await self._stack.enter_async_context(
            running_orthanc(self._folder, own_dimse_port=self.port, title=title)
        )

    async def close(self) -> None:
        """End it."""
        await self._stack.aclose()

    async def fail(self, fault: str) -> None:
        """Begin a fault."""
        if fault == KILLED:
            self.now.process.kill()
        elif fault == STOPPED:
            self.now.process.send_signal(signal.SIGSTOP)
        elif fault == REJECTING:
            await self.start("SOMEBODY")

    async def heal(self, fault: str) -> None:
        """End a fault."""
        if fault == STOPPED:
            self.now.process.send_signal(signal.SIGCONT)
        elif fault != NONE:
            await self.start()


@dataclass
class Drill:
    """All that runs, and the dice."""

    dice: random.Random
    environment: dict[str, str]
    orthanc: OrthancSite
    full: Archive
    web: WebArchive
    outcome: Outcome = field(default_factory=Outcome)

    async def rounds(self, count: int) -> Outcome:
        """Return what became of so many rounds."""
        left = count
        while left:
            async with (
                running_command("serve", **self.environment) as command,
                client_of(await command.url()) as client,
            ):
                while left and not await self._round(command, client):
                    left -= 1
                left = max(0, left - 1)
        async with (
            running_command("serve", **self.environment) as command,
            client_of(await command.url()) as client,
        ):
            await self._settle(client)
        await self._judge()
        return self.outcome

    async def _round(self, command: Command, client: httpx.AsyncClient) -> bool:
        """Return True if the gateway was killed."""
        fault = self.dice.choice((KILLED, STOPPED, REJECTING, NONE))
        self.outcome.faults[fault] += 1
        self.full.statuses += [0xA700] * self.dice.randint(0, 3)
        for _ in range(self.dice.randint(0, 2)):
            self.web.answers.append(
                self.dice.choice(
                    [(503, None, {"Retry-After": "1"}), (409, failed("1", 0xC000), {})]
                )
            )
        await self.orthanc.fail(fault)
        for _ in range(self.dice.randint(1, MOST_STUDIES)):
            study = generate_uid()
            await stow(client, radiograph(StudyInstanceUID=study))
            self.outcome.studies.append(study)
        await asyncio.sleep(self.dice.uniform(0, LONGEST_WAIT_S))
        is_killed = self.dice.random() < 2 / 3
        if is_killed:
            self.outcome.faults["gateway killed"] += 1
            command.process.kill()
            await command.process.wait()
        else:
            await asyncio.sleep(self.dice.uniform(0, LONGEST_FAULT_S))
        await self.orthanc.heal(fault)
        return is_killed

    async def _settle(self, client: httpx.AsyncClient) -> None:
        """Wait until all is delivered; retry what is parked, as an operator does."""
        self.full.statuses.clear()
        self.web.answers.clear()
        for study in self.outcome.studies:
            await until(partial(self._is_delivered, client, study), SETTLED_S)
            for item in await deliveries(client, study):
                self.outcome.states[item["state"]] += 1
                self.outcome.attempts += item["attempts"]

    async def _is_delivered(self, client: httpx.AsyncClient, study: str) -> bool:
        found = await deliveries(client, study)
        for item in found:
            if item["state"] == "parked":
                answer = await client.post(f"/v1/parked/{item['parked']}/retry")
                self.outcome.parked += answer.is_success
        return len(found) == len(ARCHIVES) * len(MODALITIES) and all(
            item["state"] in _ENDED for item in found
        )

    async def _judge(self) -> None:
        """Count the objects of each archive; those that came twice are one."""
        ours = {"full": self.full.studies, "web": self.web.studies}
        for study, modality in product(self.outcome.studies, MODALITIES):
            counts = {
                name: sum(each == (study, modality) for each in held.values())
                for name, held in ours.items()
            }
            counts["orthanc"] = await self.orthanc.now.instances(study, modality)
            self.outcome.wrong += [
                (name, modality, study, number) for name, number in counts.items() if number != 1
            ]


@asynccontextmanager
async def standing(triton_url: str, folder: Path, seed: int) -> AsyncIterator[Drill]:
    """Archives that run, and a gateway's settings for them."""
    orthanc = OrthancSite(folder / "orthanc")
    (folder / "orthanc").mkdir()
    try:
        await orthanc.start()
        with archive() as full:
            async with web_archive() as web:
                document = routing(
                    dicom("orthanc", orthanc.port, ae_title=TITLE, renderings=RENDERINGS),
                    dicom("full", full.port, renderings=RENDERINGS),
                    {"name": "web", "kind": "stow", "url": web.url},
                )
                path = folder / "routing.json"
                path.write_text(document.model_dump_json(by_alias=True, exclude_unset=True))
                environment = {
                    "RADSTREAM_HTTP__PORT": "0",
                    "RADSTREAM_TRITON__URL": triton_url,
                    "RADSTREAM_STORE__FOLDER": str(folder / "store"),
                    "RADSTREAM_ROUTING__FILE": str(path),
                    "RADSTREAM_PENDING__SWEEP_S": "1",
                    "RADSTREAM_COMPLETION__QUIET_S": "1",
                    "RADSTREAM_DELIVERIES__TIMEOUT_S": "5",
                }
                yield Drill(random.Random(seed), environment, orthanc, full, web)  # noqa: S311
    finally:
        await orthanc.close()


async def drill(rounds: int, seed: int, triton_url: str, folder: Path) -> Outcome:
    """Return what became of so many rounds."""
    async with standing(triton_url, folder, seed) as site:
        return await site.rounds(rounds)


async def _main(rounds: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        repository = write_repository(Path(folder) / "models")
        async with running_triton(repository, on_log=lambda _: None) as triton:
            outcome = await drill(rounds, seed, triton.grpc_url, Path(folder))
    faults = ", ".join(f"{count} {fault}" for fault, count in sorted(outcome.faults.items()))
    print(
        f"{rounds} rounds ({faults}): {len(outcome.studies)} studies, "
        f"{outcome.states.total()} deliveries in {outcome.attempts} attempts, of which "
        f"{outcome.states['confirmed']} confirmed and {outcome.states['acknowledged']} "
        f"acknowledged, {outcome.parked} retried after they were parked; "
        f"{len(outcome.wrong)} times another number of objects than one"
    )
    for name, modality, study, number in outcome.wrong:
        print(f"  {name} {modality} {study}: {number}")
    return 1 if outcome.wrong else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the drill, and end with its verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    sys.exit(asyncio.run(_main(options.rounds, options.seed)))


if __name__ == "__main__":
    main()
