"""A document's value is held to the data set's statement on its field."""

import pytest

from gateway.errors import Fault
from gateway.studies.metadata.statements import Statement, disagreement

PLAIN = Statement(
    "image[0]", "AP", {"View Position": frozenset({"AP"})}, assumed=("it is assumed",)
)
AGAINST = disagreement(
    "image[0]",
    {"View Position": frozenset({"AP"}), "View Code Sequence": frozenset({"LATERAL"})},
    frozenset({"AP", "LATERAL"}),
    ("it is in doubt",),
)


def test_a_contradiction_names_the_attribute_and_the_part():
    assert PLAIN.fault("view", "AP") is None
    assert PLAIN.fault("view", "PA") == Fault("/view", "contradicts View Position of image[0]")


def test_a_field_may_be_left_out_where_the_data_set_settles_it():
    assert PLAIN.fault("view", None) is None
    assert [notice.detail for notice in PLAIN.notices(is_sent=False)] == ["it is assumed"]
    assert PLAIN.notices(is_sent=True) == ()


@pytest.mark.parametrize("sent", ["AP", "LATERAL"])
def test_of_attributes_that_disagree_a_document_may_take_either(sent: str):
    assert AGAINST.fault("view", sent) is None
    [notice] = AGAINST.notices(is_sent=True)
    assert "the metadata document's word is used" in notice.detail


def test_of_attributes_that_disagree_a_document_must_take_one():
    fault = AGAINST.fault("view", None)
    assert fault is not None
    assert fault.detail.endswith("disagree; name AP or LATERAL")
    assert AGAINST.fault("view", "PA") == Fault(
        "/view", "contradicts View Position and View Code Sequence of image[0]"
    )
