"""Presentation contexts are supported for still images and verification, and no more."""

import pytest

from gateway.dimse.sop_classes import supported_contexts

DIGITAL_XRAY, ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.104.1"
VERIFICATION, COMMITMENT = "1.2.840.10008.1.1", "1.2.840.10008.1.20.1"


@pytest.mark.parametrize(
    ("commitment", "expected"),
    [
        (False, {DIGITAL_XRAY, VERIFICATION}),
        (True, {DIGITAL_XRAY, VERIFICATION, COMMITMENT}),
    ],
)
def test_only_what_is_taken_is_supported(*, commitment: bool, expected: set[str]):
    proposed = [DIGITAL_XRAY, ENCAPSULATED_PDF, VERIFICATION, COMMITMENT, VERIFICATION]
    contexts = supported_contexts(proposed, commitment=commitment)
    assert {str(context.abstract_syntax) for context in contexts} == expected
