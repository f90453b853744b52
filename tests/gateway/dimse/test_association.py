"""Instances of an association, each answered by itself, until it is aborted."""

import asyncio
from io import BytesIO

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from tests.support.dicom import radiograph
from tests.support.dimse import (
    LiveListener,
    accepted,
    associated,
    no_association,
    store,
)
from tests.support.gateway import until

pytestmark = pytest.mark.server

DX = "1.2.840.10008.5.1.4.1.1.1.1"


async def test_pynetdicom_stores_until_it_aborts(listener: LiveListener):
    dataset = radiograph()

    def send() -> int:
        with associated(listener.port, (DX, ExplicitVRLittleEndian)) as association:
            status = store(association, dataset).Status
            association.abort()
        return int(status)

    assert await asyncio.to_thread(send) == 0x0000
    assert await accepted(listener, dataset.StudyInstanceUID) == 1
    await until(lambda: no_association(listener))


async def test_one_bad_instance_costs_no_other(listener: LiveListener):
    no_image, good = radiograph(), radiograph()
    del no_image.PixelData
    large = radiograph()
    large.PixelData = b"\0" * 9_000_000

    def send() -> list[int]:
        with associated(listener.port, (DX, ExplicitVRLittleEndian)) as association:
            answers = [store(association, dataset) for dataset in (no_image, large, good)]
            assert association.is_established
        return [int(answer.Status) for answer in answers]

    statuses = await asyncio.to_thread(send)
    assert statuses[1:] == [0xA700, 0x0000]
    assert statuses[0] in {0xC000, 0x0122}
    assert await listener.count("instances_total", status="A700") >= 1


async def test_an_instance_that_is_not_what_its_command_says_is_refused(listener: LiveListener):
    dataset = radiograph()

    def send() -> int:
        with associated(listener.port, (DX, ExplicitVRLittleEndian)) as association:
            request = C_STORE()
            request.MessageID = 1
            request.AffectedSOPClassUID = DX
            request.AffectedSOPInstanceUID = "1.2.3"
            request.Priority = 2
            request.DataSet = BytesIO(encode(dataset, False, True) or b"")
            association._reactor_checkpoint.clear()
            association.dimse.send_msg(request, 1)
            _, answer = association.dimse.get_msg(block=True)
            association._reactor_checkpoint.set()
            return answer.Status

    assert await asyncio.to_thread(send) == 0xA900
