"""Faults of destinations, and kills of the gateway, between a study and its results in archives.

    python -m bench.delivery_faults --rounds 50 --seed 1

`radstream serve` runs before the real Triton and brings structured reports and Secondary Captures
to four archives, and notices to a webhook. In each round one to three studies are sent by STOW-RS;
meanwhile the destinations fail, and in two rounds of three the gateway is killed (SIGKILL) within
two seconds of the last answer.

=========== ================================== =================================================
destination is                                 fails
=========== ================================== =================================================
orthanc     a real Orthanc                     killed, stopped (SIGSTOP), rejecting the AE title
full        an archive over C-STORE            is full (A700)
web         an archive over STOW-RS            answers 409 and 503
committing  an archive with storage commitment reports late, to a later gateway, 0112
webhook     a receiver of notices              away, 500, answers late, loses its answer
=========== ================================== =================================================

At the end all are well; what is parked is retried, and what the archive could not be asked for in
time is sent again. Each archive has to hold exactly one report and one capture for each study
(Orthanc by QIDO-RS, the others by what they took), and the committing one has to have committed
each, which the gateway has to have as confirmed. The webhook has to have been told of each study;
repetitions have the same id. It ends with status 1 otherwise.
"""

import argparse
import asyncio
import datetime as dt
import json
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
from typing import Any

import httpx
from pydicom.uid import generate_uid

from gateway.schemas.callback import CallbackBody
from tests.support.committing_archives import NO_SUCH_INSTANCE, SUCCESS, Committing, committing
from tests.support.delivery import deliveries, dicom, stow
from tests.support.delivery_archives import TITLE as CALLING
from tests.support.delivery_archives import Archive, WebArchive, archive, failed, web_archive
from tests.support.dicom import radiograph
from tests.support.dimse import free_port
from tests.support.gateway import Command, client_of, running_command, until
from tests.support.models import write_repository
from tests.support.orthanc import Orthanc, running_orthanc
from tests.support.receiver import LATE, LOST, Receiver, receiving
from tests.support.triton import running_triton

TITLE = "ORTHANC"
ARCHIVES = ("orthanc", "full", "web", "committing")
RENDERINGS = ("structured-report", "secondary-capture")
MODALITIES = ("SR", "OT")  # of each rendering
MOST_STUDIES = 3
LONGEST_FAULT_S, LONGEST_WAIT_S = 2.0, 2.0
SETTLED_S, UNREPORTED_S = 900.0, 20.0
POLL_S = 0.1  # the gateway has the same cores
_ENDED = {"acknowledged", "confirmed"}
KILLED, STOPPED, REJECTING, NONE = "killed", "stopped", "rejecting", "none"
REFUSALS = [(503, None, {"Retry-After": "1"}), (409, failed("1", 0xC000), {})]
# Of single answers; of reports, True for one that comes late, and its Failure Reason.
NOTICES = {500: "notices with 500", LATE: "notices late", LOST: "notices lost"}
REPORTS = {
    (False, None): "committed in time",
    (False, NO_SUCH_INSTANCE): "not held in time",
    (True, None): "committed late",
    (True, NO_SUCH_INSTANCE): "not held late",
}


@dataclass
class Outcome:
    """Studies that were sent, the faults they met, and what is wrong at the end.

    Attributes
    ----------
    wrong
        Sentences on what is not as it has to be.
    faults
        Number of rounds by fault of Orthanc, of kills of the gateway and absences of the webhook;
        of answers of the webhook, and of reports.
    states, attempts
        Deliveries by state, and the attempts at them.
    parked, resent
        Deliveries that an operator had to retry, and to send again: of these the archive could not
        be asked for commitment in time.
    notices
        Notices that the webhook took, with their repetitions.
    reports
        Reports on storage commitment that were answered with success.
    """

    studies: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    parked: int = 0
    resent: int = 0
    notices: int = 0
    reports: int = 0


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
    committing: Committing
    webhook: Receiver
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
        is_away = self.dice.random() < 1 / 3
        self._choose_answers()
        if self.dice.random() < 1 / 2:
            await self._report_late()
        await self.orthanc.fail(fault)
        if is_away:
            self.outcome.faults["webhook away"] += 1
            await self.webhook.stop()
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
        if is_away:
            await self.webhook.start()
        await self.orthanc.heal(fault)
        return is_killed

    def _choose_answers(self) -> None:
        """Choose the next answers of all but Orthanc."""
        self.full.statuses += [0xA700] * self.dice.randint(0, 3)
        self.web.answers += self.dice.choices(REFUSALS, k=self.dice.randint(0, 2))
        notices = self.dice.choices([*NOTICES], k=self.dice.randint(0, 2))
        reports = self.dice.choices([*REPORTS], k=self.dice.randint(0, 4))
        self.webhook.statuses += notices
        self.committing.turns += reports
        self.outcome.faults.update([NOTICES[each] for each in notices])
        self.outcome.faults.update([REPORTS[each] for each in reports])

    async def _report_late(self) -> None:
        port = int(self.environment["RADSTREAM_DIMSE__PORT"])
        await asyncio.to_thread(self.committing.report_late, port)

    async def _settle(self, client: httpx.AsyncClient) -> None:
        """Wait until all is delivered; retry what is parked, as an operator does.

        The committing archive goes on as it was told: what it does is no outage.
        """
        self.outcome.faults.subtract([NOTICES[each] for each in self.webhook.statuses])
        self.full.statuses.clear()
        self.web.answers.clear()
        self.webhook.statuses.clear()
        for study in self.outcome.studies:
            await until(partial(self._is_delivered, client, study), SETTLED_S)
        for study in self.outcome.studies:
            for item in await deliveries(client, study):
                self.outcome.states[item["state"]] += 1
                self.outcome.attempts += item["attempts"]
        self.outcome.faults.subtract([REPORTS[each] for each in self.committing.turns])

    async def _is_delivered(self, client: httpx.AsyncClient, study: str) -> bool:
        await asyncio.sleep(POLL_S)
        await self._report_late()
        found = await deliveries(client, study)
        last = {(item["destination"], item["rendering"]): item for item in found}
        for item in found:
            if item["state"] == "parked":
                answer = await client.post(f"/v1/parked/{item['parked']}/retry")
                self.outcome.parked += answer.is_success
        for item in filter(_is_uncommitted, last.values()):
            since = dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(item["at"])
            if since.total_seconds() > UNREPORTED_S:
                which = {name: item[name] for name in ("destination", "rendering")}
                answer = await client.post(f"/v1/studies/{study}/deliveries", params=which)
                self.outcome.resent += answer.is_success
        return (
            len(last) == len(ARCHIVES) * len(MODALITIES) + 1
            and all(item["state"] in _ENDED for item in found)
            and not any(map(_is_uncommitted, last.values()))
        )

    async def _judge(self) -> None:
        """Count objects and notices of each study; those that came twice are one."""
        takers = {"full": self.full, "web": self.web, "committing": self.committing}
        for study, modality in product(self.outcome.studies, MODALITIES):
            counts = {
                name: sum(each == (study, modality) for each in taker.studies.values())
                for name, taker in takers.items()
            }
            counts["orthanc"] = await self.orthanc.now.instances(study, modality)
            self.outcome.wrong += [
                f"{name} holds {number} {modality} of {study}"
                for name, number in counts.items()
                if number != 1
            ]
        uncommitted = self.committing.held.keys() - self.committing.committed
        self.outcome.wrong += [f"{uid} is confirmed and not committed" for uid in uncommitted]
        self.outcome.reports = self.committing.answers.count(SUCCESS)
        self._judge_notices()

    def _judge_notices(self) -> None:
        notices = [CallbackBody.model_validate_json(body) for body in self.webhook.taken]
        self.outcome.notices = len(notices)
        told = Counter(study_id for study_id, _ in {(n.study_id, n.delivery) for n in notices})
        self.outcome.wrong += [
            f"the webhook was told of {study} under {told[study]} ids"
            for study in self.outcome.studies
            if told[study] != 1
        ]


def _is_uncommitted(item: dict[str, Any]) -> bool:
    return (item["destination"], item["state"]) == ("committing", "acknowledged")


@asynccontextmanager
async def standing(triton_url: str, folder: Path, seed: int) -> AsyncIterator[Drill]:
    """Destinations that run, and a gateway's settings for them."""
    orthanc = OrthancSite(folder / "orthanc")
    (folder / "orthanc").mkdir()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(orthanc.close)
        await orthanc.start()
        drill = Drill(
            dice=random.Random(seed),  # noqa: S311
            environment={
                "RADSTREAM_HTTP__PORT": "0",
                "RADSTREAM_DIMSE__LISTEN": "true",
                "RADSTREAM_DIMSE__PORT": str(free_port()),
                "RADSTREAM_TRITON__URL": triton_url,
                "RADSTREAM_STORE__FOLDER": str(folder / "store"),
                "RADSTREAM_ROUTING__FILE": str(folder / "routing.json"),
                "RADSTREAM_PENDING__SWEEP_S": "1",
                "RADSTREAM_COMPLETION__QUIET_S": "1",
                "RADSTREAM_DELIVERIES__TIMEOUT_S": "5",
            },
            orthanc=orthanc,
            full=stack.enter_context(archive()),
            web=await stack.enter_async_context(web_archive()),
            committing=stack.enter_context(committing()),
            webhook=await stack.enter_async_context(receiving(folder)),
        )
        (folder / "routing.json").write_text(json.dumps(_routing(drill, folder)))
        yield drill


def _routing(drill: Drill, folder: Path) -> dict[str, Any]:
    """Return the routing document of these destinations."""
    (folder / "secret").write_text("s" * 32)
    wait = {"storage_commitment": {"wait_s": 1}}
    return {
        "schema": "radstream.routing/1",
        "senders": [{"name": "pacs", "ae_title": CALLING, "addresses": ["127.0.0.1"]}],
        "destinations": [
            dicom("orthanc", drill.orthanc.port, ae_title=TITLE, renderings=RENDERINGS),
            dicom("full", drill.full.port, renderings=RENDERINGS),
            dicom("committing", drill.committing.port, renderings=RENDERINGS, **wait),
            {"name": "web", "kind": "stow", "url": drill.web.url},
            {
                "name": "webhook",
                "kind": "webhook",
                "url": drill.webhook.url,
                "secret_file": str(folder / "secret"),
                "tls": {"authorities": str(drill.webhook.ca_file)},
            },
        ],
    }


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
        f"acknowledged, {outcome.parked} retried after they were parked, {outcome.resent} sent "
        f"again since commitment could not be asked for in time; {outcome.notices} notices "
        f"and {outcome.reports} reports on storage commitment taken; {len(outcome.wrong)} wrong"
    )
    for sentence in outcome.wrong:
        print(f"  {sentence}")
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
