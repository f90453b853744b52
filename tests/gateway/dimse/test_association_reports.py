"""Reports on storage commitment over the association of their request."""

import asyncio

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.support.commitment import (
    DX,
    NO_SUCH_INSTANCE,
    SUCCESS,
    Reported,
    ask,
    committed,
    reasons,
    request,
    sender,
)
from tests.support.dicom import radiograph
from tests.support.dimse import LiveListener, store
from tests.support.gateway import audit_trail, until

pytestmark = pytest.mark.server

CT = "1.2.840.10008.5.1.4.1.1.2"
CLASS_INSTANCE_CONFLICT = 0x0119


async def test_what_was_stored_is_committed_and_nothing_else(listener: LiveListener):
    first, second = radiograph(), radiograph()
    unknown = generate_uid()
    others = [(CT, second.SOPInstanceUID), (DX, unknown)]

    def send() -> tuple[Dataset, list[Reported]]:
        with sender(listener.port) as (association, report):
            for dataset in (first, second):
                assert store(association, dataset).Status == SUCCESS
            whole = request([(DX, first.SOPInstanceUID), (DX, second.SOPInstanceUID)])
            assert ask(association, whole) == SUCCESS
            assert ask(association, request([(DX, first.SOPInstanceUID), *others])) == SUCCESS
            return whole, [report(), report()]

    whole, [(kind, report), (other_kind, other)] = await asyncio.to_thread(send)
    assert (kind, report.TransactionUID) == (1, whole.TransactionUID)
    assert committed(report) == [first.SOPInstanceUID, second.SOPInstanceUID]
    assert "FailedSOPSequence" not in report
    assert other_kind == 2
    assert committed(other) == [first.SOPInstanceUID]
    assert reasons(other) == {
        second.SOPInstanceUID: CLASS_INSTANCE_CONFLICT,
        unknown: NO_SUCH_INSTANCE,
    }
    await until(lambda: has_reports(listener, 2))
    reports = [
        record
        for record in audit_trail(listener.gateway.settings)
        if record["operation"] == "N-EVENT-REPORT"
    ]
    assert [record["outcome"] for record in reports] == ["success", "partial"]
    assert first.StudyInstanceUID in reports[1]["studies"]


async def has_reports(listener: LiveListener, count: int) -> bool:
    return await listener.count("commitment_reports_total", outcome="taken") == count
