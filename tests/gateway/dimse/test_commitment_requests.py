"""Requests for storage commitment that were accepted, whatever dies after."""

import asyncio
from pathlib import Path

import pytest

from tests.support.commitment import none_is_owed, store_and_ask, taking_reports, ward
from tests.support.dicom import radiograph
from tests.support.dimse import free_port, write_senders
from tests.support.gateway import running_command, until

pytestmark = pytest.mark.server


async def test_a_report_survives_the_gateway_that_accepted_its_request(tmp_path: Path):
    port, dimse_port, dataset = free_port(), free_port(), radiograph()
    environment = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_STORE__FOLDER": str(tmp_path / "store"),
        "RADSTREAM_PENDING__SWEEP_S": "1",
        "RADSTREAM_DIMSE__LISTEN": "true",
        "RADSTREAM_DIMSE__PORT": str(dimse_port),
        "RADSTREAM_ROUTING__FILE": str(write_senders(tmp_path, [ward(port)])),
    }
    with taking_reports(port) as reports:
        async with running_command("serve", **environment) as command:
            await command.url()
            transaction = await asyncio.to_thread(
                store_and_ask, dimse_port, dataset, then_kill=command.pid
            )
            await command.process.wait()
        assert reports.empty()
        async with running_command("serve", **environment) as command:
            await command.url()
            kind, report = await asyncio.to_thread(reports.get, timeout=60)
            await until(lambda: none_is_owed(tmp_path))
    assert (kind, report.TransactionUID) == (1, transaction)
    [item] = report.ReferencedSOPSequence
    assert item.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
