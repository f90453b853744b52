"""Rejections are told as such, however soon they come."""

import pytest
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import MODE_REQUESTOR, Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, A_P_ABORT

from gateway.delivery.associations import rejection_of


@pytest.fixture
def association() -> Association:
    return Association(ApplicationEntity("RADSTREAM"), MODE_REQUESTOR)


def answer(result: int) -> A_ASSOCIATE:
    primitive = A_ASSOCIATE()
    primitive.result, primitive.result_source, primitive.diagnostic = result, 1, 3
    return primitive


def test_a_rejection_that_was_seen_is_told(association: Association):
    association.acceptor.primitive = answer(1)
    association.is_rejected = True
    rejection = rejection_of(association)
    assert rejection is not None
    assert (rejection.result_source, rejection.diagnostic) == (1, 3)


def test_a_rejection_before_a_look_at_the_connection_is_told(association: Association):
    early = answer(2)
    association.dul.to_user_queue.put(early)
    association.is_aborted = True
    assert rejection_of(association) is early


@pytest.mark.parametrize("left", [None, answer(0), A_P_ABORT()], ids=["none", "accepted", "abort"])
def test_nothing_else_is_a_rejection(association: Association, left: object):
    if left is not None:
        association.dul.to_user_queue.put(left)
    assert rejection_of(association) is None
