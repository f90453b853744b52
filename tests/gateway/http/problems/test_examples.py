"""Errors as the API's documentation shows them."""

import pytest

from gateway import errors
from gateway.http.problems.examples import example_of
from gateway.problems import problem_of


def test_an_error_with_fields_has_something_in_them():
    example = example_of(errors.InvalidMetadataError)
    assert isinstance(example, errors.InvalidMetadataError)
    assert [fault.pointer for fault in example.faults] == ["/view", "/timestamp"]


@pytest.mark.parametrize("kind", [errors.BodyTooLargeError, errors.StudyNotFoundError])
def test_an_example_is_a_problem_without_gaps(kind: type[errors.RadStreamError]):
    assert "{" not in problem_of(example_of(kind)).detail


def test_an_error_that_needs_an_example_and_has_none_is_noticed():
    with pytest.raises(TypeError):
        example_of(errors.ContractError)
