"""Connections that ask for nothing cost no association, no thread and no file."""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.support.dimse import LiveListener, dcmtk, dimse_settings, running_listener
from tests.support.dimse_wire import associate_request
from tests.support.gateway import until

pytestmark = pytest.mark.server

PROBES = 2000


@pytest.fixture
async def listener(tmp_path: Path) -> AsyncIterator[LiveListener]:
    """One that waits for long, with few associations."""
    settings = dimse_settings(tmp_path, associations=2, request_timeout_s=300)
    async with running_listener(settings) as listener:
        yield listener


def association_threads() -> list[str]:
    names = {"dimse-association", "dimse-transport"}
    return [thread.name for thread in threading.enumerate() if thread.name in names]


def connect(listener: LiveListener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port))


async def ended(listener: LiveListener, reason: str, count: int) -> bool:
    return await listener.count("connections_ended_total", reason=reason) >= count


async def test_probes_leave_nothing_behind(listener: LiveListener):
    """With pynetdicom's own server 12 of them shut the node for half a minute."""
    process = psutil.Process()

    def probe(count: int) -> None:
        for _ in range(count):
            connect(listener).close()

    await asyncio.to_thread(probe, 10)
    await until(lambda: ended(listener, "silent", 10))
    files = process.num_fds()
    await asyncio.to_thread(probe, PROBES)
    assert (await dcmtk("echoscu", listener))[0] == 0
    await until(lambda: ended(listener, "silent", 10 + PROBES))
    assert await listener.count("associations_total", outcome="accepted") == 1
    await until(lambda: association_threads() == [])
    assert process.num_fds() <= files + 8  # of the client of the metrics and of the audit trail


async def test_silent_connections_give_way_to_new_ones(listener: LiveListener):
    silent = [connect(listener) for _ in range(600)]
    try:
        assert (await dcmtk("echoscu", listener))[0] == 0
        await until(lambda: ended(listener, "displaced", 80))
        silent[0].settimeout(30)
        assert silent[0].recv(1) == b""  # the oldest
        await until(lambda: association_threads() == [])
    finally:
        for connection in silent:
            connection.close()


async def test_a_request_that_never_ends_times_out(tmp_path: Path):
    async with running_listener(dimse_settings(tmp_path, request_timeout_s=0.2)) as listener:
        with connect(listener) as connection:
            connection.sendall(b"\x01\0" + struct.pack(">L", 300) + b"\0" * 20)
            connection.settimeout(30)
            assert await asyncio.to_thread(connection.recv, 1) == b""
        await until(lambda: ended(listener, "timeout", 1))


async def test_a_long_pdu_ends_its_association_unread(listener: LiveListener):
    """A peer may claim 4 GB and send them."""
    with connect(listener) as connection:
        connection.sendall(associate_request())
        connection.settimeout(30)
        accepted = await asyncio.to_thread(connection.recv, 6)
        assert accepted[0] == 0x02
        connection.sendall(b"\x04\0" + struct.pack(">L", 2**31))
        await asyncio.to_thread(drained, connection)
    await until(lambda: is_idle(listener))


async def is_idle(listener: LiveListener) -> bool:
    return await listener.count("open_associations") == 0


def drained(connection: socket.socket) -> None:
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass
