"""Large objects take bounded memory, and senders that die leave nothing."""

import asyncio
import re
import secrets
import signal
from pathlib import Path

import pytest

from tests.support.dimse import (
    dimse_settings,
    encoded,
    free_port,
    running_listener,
    secondary_capture,
)
from tests.support.dimse_wire import WireSender
from tests.support.gateway import Command, running_command, until

pytestmark = pytest.mark.server

MIB = 2**20
OBJECT_BYTES = 524 * 10**6


def peak_bytes(command: Command) -> int:
    """The most memory that the process had at once."""
    status = Path(f"/proc/{command.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


async def test_an_object_beyond_the_limit_takes_little_memory_and_costs_no_other(tmp_path: Path):
    port, temporary = free_port(), tmp_path / "tmp"
    temporary.mkdir()
    dataset = secondary_capture()
    async with running_command(
        "serve",
        RADSTREAM_HTTP__PORT="0",
        RADSTREAM_DIMSE__LISTEN="true",
        RADSTREAM_DIMSE__PORT=str(port),
        RADSTREAM_STORE__FOLDER=str(tmp_path / "store"),
        TMPDIR=str(temporary),
    ) as command:
        await command.url()

        def send() -> tuple[int, int, int]:
            with WireSender(port) as sender:
                before = peak_bytes(command)
                sender.begin("1.2.3")
                part = secrets.token_bytes(MIB)
                sender.send(part for _ in range(OBJECT_BYTES // MIB))
                assert list(temporary.iterdir()) == []  # its file has no name
                large = sender.finish(b"\0" * 2)
                grown = peak_bytes(command) - before
                return large, grown, sender.store(dataset.SOPInstanceUID, encoded(dataset))

        large, grown, next_one = await asyncio.to_thread(send)
        assert (large, next_one) == (0xA700, 0x0000)
        assert grown < 150 * 10**6
        command.process.send_signal(signal.SIGKILL)
        await command.process.wait()
    assert list(temporary.iterdir()) == []


async def test_a_sender_that_dies_midway_leaves_no_association(tmp_path: Path):
    async with running_listener(dimse_settings(tmp_path)) as listener:

        def die() -> None:
            with WireSender(listener.port) as sender:
                sender.begin("1.2.3")
                sender.send([b"\0" * 4 * MIB])

        await asyncio.to_thread(die)

        async def is_over() -> bool:
            return await listener.count("open_associations") == 0

        await until(is_over)
        assert await listener.count("instances_total", status="0000") == 0
