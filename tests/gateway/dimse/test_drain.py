"""The end of a gateway: the instance at hand is answered, idle associations are aborted."""

import asyncio
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.dimse.association import ServedAssociation
from gateway.settings import HttpSettings
from tests.support.dimse import dimse_settings, encoded, secondary_capture
from tests.support.dimse_wire import WireSender
from tests.support.gateway import files_in, running_gateway, until

pytestmark = pytest.mark.server

ABORT = 0x07


def is_at_an_instance() -> bool:
    """Return True if an association has received the beginning of one."""
    found = (each for each in threading.enumerate() if isinstance(each, ServedAssociation))
    return any(association.messages.message is not None for association in found)


async def test_the_instance_at_hand_is_answered_before_the_end_and_no_further_one(tmp_path: Path):
    settings = dimse_settings(tmp_path)
    dataset = secondary_capture()
    data = encoded(dataset)
    port = settings.dimse.port
    async with running_gateway(settings) as gateway:
        busy, idle = await asyncio.to_thread(lambda: (WireSender(port), WireSender(port)))
        busy.begin(dataset.SOPInstanceUID)
        busy.send([data[:100]])
        await until(is_at_an_instance)
        gateway.server.should_exit = True

        def finish() -> tuple[int, int, int]:
            with idle, busy:
                aborted, _ = idle.receive()
                status = busy.store_rest(data[100:])
                with suppress(OSError):  # it may be closed by now
                    busy.begin("1.2.3")
                    busy.send([bytes(100)])
                return aborted, status, busy.receive()[0]

        assert await asyncio.to_thread(finish) == (ABORT, 0x0000, ABORT)
    assert any(dataset.StudyInstanceUID in name for name in files_in(settings.store.folder))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


async def test_a_sender_that_stalls_delays_the_end_no_longer_than_the_grace_period(tmp_path: Path):
    settings = dimse_settings(tmp_path)
    settings = settings.model_copy(update={"http": HttpSettings(port=0, grace_period_s=0.2)})
    async with running_gateway(settings) as gateway:
        with await asyncio.to_thread(WireSender, settings.dimse.port) as sender:
            sender.begin("1.2.3")
            sender.send([b"\0" * 100])
            gateway.server.should_exit = True

            async def is_closed() -> bool:
                return await asyncio.to_thread(_is_closed, sender)

            await until(is_closed)


def _is_closed(sender: WireSender) -> bool:
    try:
        sender.receive()
    except ConnectionResetError:
        return True
    return False
