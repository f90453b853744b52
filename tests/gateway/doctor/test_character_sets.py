"""Descriptions of series are read as an archive tells them, or not at all."""

from typing import Any

import pytest

from gateway.doctor.character_sets import TEXTS, dicom_reader, web_reader
from gateway.doctor.clocks import Clocks
from gateway.doctor.dicom_peers import DicomPeer
from gateway.doctor.handshake import Address
from gateway.doctor.web_peers import address_of
from tests.gateway.doctor.conftest import web_server
from tests.support.delivery_archives import TITLE, archive
from tests.support.dimse import free_port

# pynetdicom leaves a socket that did not connect to the collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


def peer(port: int) -> DicomPeer:
    return DicomPeer(Address("127.0.0.1", port, "", ""), TITLE, "RADSTREAM", "")


async def test_an_archive_without_a_search_and_one_that_is_away_tell_nothing():
    with archive() as pacs:
        assert await dicom_reader(peer(pacs.port))("1.2", "1.2.3") is None
    assert await dicom_reader(peer(free_port()))("1.2", "1.2.3") is None


@pytest.mark.parametrize(
    ("status", "document", "text"),
    [
        (200, [{"0008103E": {"vr": "LO", "Value": [TEXTS["ISO_IR 192"]]}}], TEXTS["ISO_IR 192"]),
        (200, [{"0008103E": {"vr": "LO"}}], None),
        (200, [], None),
        (404, {}, None),
    ],
)
async def test_a_text_is_that_of_the_first_series(status: int, document: Any, text: str | None):
    async with web_server(("/studies/1.2/series", status, document)) as url:
        address = address_of(url, "", "")
        read = web_reader(url, address, Clocks(), context=None, headers={})
        assert await read("1.2", "1.2.3") == text
