"""Kills of the gateway between the answers to C-STOREs and the processing of what was answered.

    python -m bench.dimse_kills --kills 30 --seed 1

`radstream serve` runs before the real Triton. Three senders store instances, each of a study of its
own, as fast as they are answered; after a random number of answers the gateway is killed (SIGKILL),
and started again. At the end every instance that was answered with success has to have exactly one
reading, and no instance more than one. It ends with status 1 otherwise.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from tests.support.dimse import encoded, free_port, secondary_capture
from tests.support.dimse_wire import WireSender
from tests.support.gateway import client_of, running_command, until
from tests.support.models import write_repository
from tests.support.triton import running_triton

SENDERS = 3
MOST_ANSWERS = 12
SETTLED_S = 120.0
OK, NOT_FOUND = 200, 404


@dataclass
class Sent:
    """Ids of studies by their fate.

    Attributes
    ----------
    begun
        Those of which an instance was sent.
    stored
        Those of which it was answered with success.
    refused
        Statuses of all other answers.
    """

    begun: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """Studies that are not as they were promised to be."""

    lost: tuple[str, ...]
    repeated: tuple[str, ...]


async def drill(kills: int, seed: int, triton_url: str, folder: Path) -> tuple[Sent, Verdict]:
    """Return what was sent in so many rounds, and what became of it."""
    rng, sent, port = random.Random(seed), Sent(), free_port()  # noqa: S311 - a drill's dice
    environment = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__URL": triton_url,
        "RADSTREAM_STORE__FOLDER": str(folder / "store"),
        "RADSTREAM_PENDING__SWEEP_S": "1",
        "RADSTREAM_HTTP__REQUEST_TIMEOUT_S": "8",  # a dead gateway holds its claims so long
        "RADSTREAM_DIMSE__LISTEN": "true",
        "RADSTREAM_DIMSE__PORT": str(port),
    }
    for _ in range(kills):
        async with running_command("serve", **environment) as command:
            await command.url()
            await asyncio.to_thread(_send, port, command.pid, rng.randint(1, MOST_ANSWERS), sent)
            await command.process.wait()
    async with (
        running_command("serve", **environment) as command,
        client_of(await command.url()) as client,
    ):
        return sent, await _verdict(client, sent)


def _send(port: int, pid: int, answers: int, sent: Sent) -> None:
    """Store until so many answers have come, and kill the gateway with the last of them."""
    last = len(sent.stored) + answers
    lock = threading.Lock()

    def send() -> None:
        try:
            with WireSender(port) as sender:
                while True:
                    dataset = secondary_capture()
                    sent.begun.append(dataset.StudyInstanceUID)
                    status = sender.store(dataset.SOPInstanceUID, encoded(dataset))
                    with lock:
                        if status:
                            sent.refused.append(status)
                            continue
                        sent.stored.append(dataset.StudyInstanceUID)
                        if len(sent.stored) == last:
                            os.kill(pid, signal.SIGKILL)
        except OSError:  # killed
            return

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _verdict(client: httpx.AsyncClient, sent: Sent) -> Verdict:
    lost, repeated = [], []
    for study_id in sent.begun:
        try:
            await until(partial(_is_settled, client, study_id), SETTLED_S)
        except TimeoutError:
            lost.append(study_id)
            continue
        images = await _images(client, study_id)
        if images > 1:
            repeated.append(study_id)
        elif not images and study_id in sent.stored:
            lost.append(study_id)
    return Verdict(tuple(lost), tuple(repeated))


async def _is_settled(client: httpx.AsyncClient, study_id: str) -> bool:
    answer = await client.get(f"/v1/studies/{study_id}")
    return answer.status_code == NOT_FOUND or (
        answer.status_code == OK and not answer.json().get("pending")
    )


async def _images(client: httpx.AsyncClient, study_id: str) -> int:
    """Return the number of the study's readings."""
    answer = await client.get(f"/v1/studies/{study_id}")
    return len(answer.json()["images"]) if answer.status_code == OK else 0


async def _main(kills: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        repository = write_repository(Path(folder) / "models")
        async with running_triton(repository) as triton:
            sent, verdict = await drill(kills, seed, triton.grpc_url, Path(folder))
    print(
        f"{kills} kills: {len(sent.begun)} instances sent, {len(sent.stored)} answered with "
        f"success, {len(sent.refused)} refused; {len(verdict.lost)} lost, "
        f"{len(verdict.repeated)} repeated"
    )
    return 1 if verdict.lost or verdict.repeated else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the drill, and end with its verdict."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    sys.exit(asyncio.run(_main(options.kills, options.seed)))


if __name__ == "__main__":
    main()
