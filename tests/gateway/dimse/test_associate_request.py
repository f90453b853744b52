"""Requests and rejections of associations, by their bytes."""

from gateway.dimse.associate_request import Rejection, request_bytes, titles
from tests.support.dimse_wire import associate_request


def test_a_request_tells_its_length_and_its_titles():
    request = associate_request()
    assert request_bytes(request[:6]) == len(request)
    assert request_bytes(b"\x02" + request[1:6]) is None
    assert request_bytes(b"\x01\0\xff\xff\xff\xff") is None
    assert titles(request).called == "RADSTREAM"
    assert titles(request).calling == "SCU"


def test_a_rejection_is_ten_bytes():
    """PS3.8, table 9-21: calling AE title not recognised, by the service user, permanent."""
    assert Rejection.CALLING_AE_TITLE.pdu == bytes.fromhex("0300 00000004 00 01 01 03")
