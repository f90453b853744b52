"""Reports on storage commitment that are owed until their sender takes them."""

import asyncio
from pathlib import Path

import pytest

from tests.support.commitment import (
    has_reported,
    none_is_owed,
    owed,
    store_and_ask,
    taking_reports,
    ward,
)
from tests.support.dicom import radiograph
from tests.support.dimse import dimse_settings, free_port, running_listener
from tests.support.gateway import until

pytestmark = pytest.mark.server


# pynetdicom lets go of a socket that could not connect without closing it.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
async def test_a_sender_that_does_not_listen_is_told_once_it_does(tmp_path: Path):
    port, dataset = free_port(), radiograph()
    async with running_listener(dimse_settings(tmp_path, senders=[ward(port)])) as listener:
        transaction = await asyncio.to_thread(store_and_ask, listener.port, dataset)

        async def was_tried() -> bool:
            [entry] = await owed(tmp_path)
            return b'"attempts":1' in entry.read_bytes()

        await until(was_tried)
        with taking_reports(port) as reports:
            kind, report = await asyncio.to_thread(reports.get, timeout=60)
        assert (kind, report.TransactionUID) == (1, transaction)
        await until(lambda: has_reported(listener, 1))
        await until(lambda: none_is_owed(tmp_path))
