"""Rejections are told as such, however soon they come; no connection is left open."""

import socket
import struct
import threading

import pytest
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import MODE_REQUESTOR, Association
from pynetdicom.pdu_primitives import A_ASSOCIATE, A_P_ABORT
from pynetdicom.sop_class import Verification

from gateway.delivery.associations import Requestor, rejection_of
from gateway.vocabulary.implementation import IMPLEMENTATION_CLASS_UID
from tests.support.dimse import free_port


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


def asked(port: int) -> Association:
    """The association that was asked for on a port of loopback."""
    requestor = Requestor("RADSTREAM")
    requestor.add_requested_context(Verification)
    return requestor.associate("127.0.0.1", port)


# An unclosed socket's warning fails these.
def test_the_connection_that_is_refused_is_closed():
    association = asked(free_port())
    assert not association.is_established
    assert rejection_of(association) is None
    assert association.requestor.implementation_class_uid == IMPLEMENTATION_CLASS_UID


def test_the_connection_that_is_reset_is_closed():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reset() -> None:
            taken, _ = server.accept()
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            taken.close()

        resetting = threading.Thread(target=reset)
        resetting.start()
        association = asked(server.getsockname()[1])
        resetting.join()
    assert not association.is_established
    assert rejection_of(association) is None
