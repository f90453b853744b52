"""Reports on storage commitment that come on an association of their own, whatever dies before."""

from pathlib import Path

import pytest

from tests.support.commitment import has_reported, none_is_owed, ward
from tests.support.dicom import file_of, radiograph
from tests.support.dimse import dimse_settings, free_port, running_listener
from tests.support.gateway import ROOT, until
from tests.support.orthanc import running_orthanc

pytestmark = pytest.mark.server

SAMPLES = sorted((ROOT / "tests/data/images").glob("*.dcm"))


async def test_orthanc_is_told_that_all_is_committed(tmp_path: Path):
    port = free_port()
    pacs = ward(port) | {"name": "pacs", "ae_title": "ORTHANC"}
    (tmp_path / "orthanc").mkdir()
    async with (
        running_listener(dimse_settings(tmp_path, senders=[pacs])) as listener,
        running_orthanc(
            tmp_path / "orthanc", dimse_port=listener.port, own_dimse_port=port
        ) as orthanc,
    ):
        kept = [await orthanc.keep(sample.read_bytes()) for sample in SAMPLES]
        assert (await orthanc.send(*kept))["State"] == "Success"
        report = await orthanc.ask_for_commitment(*kept)
        assert (report["Status"], len(report["Success"])) == ("Success", len(SAMPLES))
        missing = await orthanc.keep(file_of(radiograph()))
        report = await orthanc.ask_for_commitment(kept[0], missing)
        assert report["Status"] == "Failure"
        assert [item["FailureReason"] for item in report["Failures"]] == [0x0112]
        await until(lambda: has_reported(listener, 2))
        await until(lambda: none_is_owed(tmp_path))
