"""Statuses of archives, and what is no object for them."""

import pytest

from gateway.delivery.dicom_objects import may_pass, parsed
from gateway.errors import DeliveryRefusedError
from tests.support.dicom import file_of, radiograph


@pytest.mark.parametrize(
    ("status", "passes"),
    [(0xA700, True), (0xA7FF, True), (0x0110, True), (0xA900, False), (0xC000, False), (0, False)],
)
def test_failures_that_may_pass(status: int, passes: bool):
    assert may_pass(status) is passes


def test_a_dicom_file_is_parsed_and_nothing_else():
    dataset = radiograph()
    assert parsed(file_of(dataset)).SOPInstanceUID == dataset.SOPInstanceUID
    with pytest.raises(DeliveryRefusedError):
        parsed(b"%PDF")
