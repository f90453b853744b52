"""C-ECHO with real applications that reject the gateway, each for its own reason."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.doctor.dicom_peers import DicomPeer, echo
from gateway.doctor.findings import FaultError, Side
from gateway.doctor.handshake import Address
from tests.support.dimse import free_port
from tests.support.gateway import until
from tests.support.orthanc import running_orthanc
from tests.support.tools import tool

pytestmark = [
    pytest.mark.server,
    # pynetdicom leaves a socket that did not connect to the collector.
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
    ),
]


def peer(port: int, title: str = "ORTHANC") -> DicomPeer:
    return DicomPeer(Address("127.0.0.1", port, "", ""), title, "RADSTREAM", "the title line")


async def fault(of: DicomPeer) -> FaultError:
    with pytest.raises(FaultError) as caught:
        await asyncio.to_thread(echo, of)
    return caught.value


@asynccontextmanager
async def storescp(folder: Path, *options: str) -> AsyncIterator[int]:
    """dcmtk's storescp on a port of loopback."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(tool("storescp"), *options, "-od", str(folder), str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def listens() -> bool:
        assert process.returncode is None
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def test_an_orthanc_called_by_a_wrong_title_is_our_mistake(tmp_path: Path):
    port = free_port()
    async with running_orthanc(tmp_path, own_dimse_port=port):
        await asyncio.to_thread(echo, peer(port))
        error = await fault(peer(port, "ORTHNAC"))
    assert error.side is Side.GATEWAY
    assert "does not know the AE title ORTHNAC that it is called by" in error.detail
    assert error.change.startswith("the title line")


async def test_an_orthanc_that_does_not_know_us_is_its_mistake(tmp_path: Path):
    port = free_port()
    closed = {
        f"DicomAlwaysAllow{name}": False
        for name in ("Echo", "Find", "FindWorklist", "Get", "Move", "Store")
    }
    async with running_orthanc(tmp_path, own_dimse_port=port, **closed):
        error = await fault(peer(port))
    assert error.side is Side.PEER
    assert "does not know the AE title RADSTREAM that the gateway calls with" in error.detail
    assert "add RADSTREAM" in error.change


async def test_a_storescp_that_answers_and_one_that_refuses(tmp_path: Path):
    async with storescp(tmp_path) as port:
        await asyncio.to_thread(echo, peer(port, "STORESCP"))
    async with storescp(tmp_path, "--refuse") as port:
        error = await fault(peer(port, "STORESCP"))
    assert error.side is Side.PEER
    assert "gives no reason" in error.detail


async def test_a_peer_that_speaks_something_else():
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        error = await fault(peer(server.sockets[0].getsockname()[1]))
    assert "without an answer to the association request" in error.detail
