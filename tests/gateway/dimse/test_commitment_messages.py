"""Requests for storage commitment that cannot be met, and the statuses they get."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dimse_primitives import N_ACTION

from gateway.dimse.commitment_messages import PUSH_MODEL, PUSH_MODEL_INSTANCE
from tests.support.commitment import DX, ask, request, sender
from tests.support.dimse import LiveListener, encoded

pytestmark = pytest.mark.server


REFUSED = {
    "no transaction": (lambda dataset: dataset.__delattr__("TransactionUID"), 0x0114),
    "no instances": (lambda dataset: dataset.__delattr__("ReferencedSOPSequence"), 0x0114),
    "an instance without a UID": (
        lambda dataset: dataset.ReferencedSOPSequence[0].__delattr__("ReferencedSOPInstanceUID"),
        0x0115,
    ),
    "too many": (
        lambda dataset: dataset.ReferencedSOPSequence.extend(
            10_000 * [dataset.ReferencedSOPSequence[0]]
        ),
        0x0213,
    ),
}


@pytest.mark.parametrize(("change", "status"), REFUSED.values(), ids=REFUSED)
async def test_a_request_that_cannot_be_met_is_refused(
    listener: LiveListener, change: Callable[[Dataset], None], status: int
):
    information = request([(DX, "1.2.3")])
    change(information)

    def send() -> int:
        with sender(listener.port) as (association, _):
            answer = ask(association, information)
            assert association.is_established
        return answer

    assert await asyncio.to_thread(send) == status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"RequestedSOPInstanceUID": "1.2.3"}, 0x0112),
        ({"RequestedSOPClassUID": DX}, 0x0118),
        ({"ActionTypeID": 2}, 0x0123),
        ({"ActionInformation": None}, 0x0114),
        ({"ActionInformation": BytesIO(b"\xff" * 1000)}, 0x0115),
    ],
)
async def test_another_action_is_refused(
    listener: LiveListener, changes: dict[str, Any], status: int
):
    action = N_ACTION()
    action.MessageID = 1
    action.RequestedSOPClassUID, action.RequestedSOPInstanceUID = PUSH_MODEL, PUSH_MODEL_INSTANCE
    action.ActionTypeID = 1
    action.ActionInformation = BytesIO(encoded(request([(DX, "1.2.3")])))
    for name, value in changes.items():
        setattr(action, name, value)

    def send() -> int:
        with sender(listener.port) as (association, _):
            association._reactor_checkpoint.clear()
            association.dimse.send_msg(action, 3)
            _, answer = association.dimse.get_msg(block=True)
            association._reactor_checkpoint.set()
            return int(answer.Status)

    assert await asyncio.to_thread(send) == status
