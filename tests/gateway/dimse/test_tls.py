"""TLS on the listener's port: with and without client certificates, followed when renewed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.support.dicom import file_of, radiograph
from tests.support.dimse import LiveListener, dcmtk, dimse_settings, running_listener
from tests.support.gateway import until
from tests.support.tools import tool

pytestmark = pytest.mark.server


@dataclass(frozen=True)
class Secured:
    listener: LiveListener
    folder: Path
    authority: trustme.CA

    def client(self, name: str, authority: trustme.CA) -> tuple[str, ...]:
        """Options of dcmtk's clients for TLS with a certificate of the authority."""
        issued = authority.issue_cert(name)
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        issued.cert_chain_pems[0].write_to_path(str(certificate))
        issued.private_key_pem.write_to_path(str(key))
        return ("+tls", f"{key}", f"{certificate}", "+cf", f"{self.folder / 'ca.crt'}")

    async def echo(self, *options: str) -> int:
        """Exit code of an echo; the options name files."""
        process = await asyncio.create_subprocess_exec(
            *(tool("echoscu"), "-aec", "RADSTREAM", *options),
            *("127.0.0.1", str(self.listener.port)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait()

    async def store(self, path: Path, *options: str) -> int:
        """Exit code of storing a file."""
        process = await asyncio.create_subprocess_exec(
            *(tool("storescu"), "-aec", "RADSTREAM", *options),
            *("127.0.0.1", str(self.listener.port), str(path)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait()


def write(folder: Path, authority: trustme.CA) -> None:
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(str(folder / "tls.crt"))
    issued.private_key_pem.write_to_path(str(folder / "tls.key"))
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))


@pytest.fixture(scope="module")
async def mutual(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    folder, authority = tmp_path_factory.mktemp("mutual"), trustme.CA()
    write(folder, authority)
    settings = dimse_settings(
        folder,
        tls_certificate=folder / "tls.crt",
        tls_key=folder / "tls.key",
        tls_client_ca=folder / "ca.crt",
    )
    async with running_listener(settings) as listener:
        yield Secured(listener, folder, authority)


async def test_a_sender_with_a_certificate_stores(mutual: Secured, tmp_path: Path):
    path = tmp_path / "image.dcm"
    path.write_bytes(file_of(radiograph()))
    assert await mutual.store(path, *mutual.client("modality", mutual.authority)) == 0


async def test_without_a_certificate_that_is_trusted_nobody_gets_in(mutual: Secured):
    before = await mutual.listener.count("associations_total", outcome="accepted")
    assert await mutual.echo() != 0  # plain DICOM
    assert await mutual.echo("+tla", "-ic") != 0
    assert await mutual.echo(*mutual.client("stranger", trustme.CA())[:3], "-ic") != 0
    assert await mutual.listener.count("associations_total", outcome="accepted") == before
    assert await mutual.listener.count("connections_ended_total", reason="tls") >= 1


async def test_connections_that_never_shake_hands_keep_nobody_waiting(mutual: Secured):
    """pynetdicom's own server waits for each before it accepts the next."""
    idle = [socket.create_connection(("127.0.0.1", mutual.listener.port)) for _ in range(20)]
    try:
        idle[0].sendall(b"\x16\x03\x01\x02\x00")  # the head of a handshake
        assert await mutual.echo(*mutual.client("modality", mutual.authority)) == 0
    finally:
        for connection in idle:
            connection.close()


async def test_renewed_certificates_and_authorities_are_followed(tmp_path: Path):
    old, new = trustme.CA(), trustme.CA()
    write(tmp_path, old)
    settings = dimse_settings(
        tmp_path,
        tls_certificate=tmp_path / "tls.crt",
        tls_key=tmp_path / "tls.key",
        tls_client_ca=tmp_path / "ca.crt",
    )
    async with running_listener(settings) as listener:
        secured = Secured(listener, tmp_path, old)
        before = secured.client("before", old)
        assert await secured.echo(*before) == 0
        write(tmp_path, new)
        after = secured.client("after", new)

        async def is_renewed() -> bool:
            return await secured.echo(*after) == 0

        await until(is_renewed)
        assert await secured.echo(*before[:3], "-ic") != 0


async def test_tls_without_client_certificates(tmp_path: Path):
    write(tmp_path, trustme.CA())
    settings = dimse_settings(
        tmp_path, tls_certificate=tmp_path / "tls.crt", tls_key=tmp_path / "tls.key"
    )
    async with running_listener(settings) as listener:
        secured = Secured(listener, tmp_path, trustme.CA())
        assert await secured.echo("+tla", "+cf", str(tmp_path / "ca.crt")) == 0
        assert (await dcmtk("echoscu", listener))[0] != 0
