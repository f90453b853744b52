"""The form of HL7 v2 messages: what a site may say of it, and what it may not."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.schemas.hl7 import Charset, Designator, MessageForm


@pytest.mark.parametrize(
    ("designator", "reason"),
    [
        ({}, "is needed"),
        ({"universal_id": "1.2"}, "belong together"),
        ({"namespace": "A", "universal_id_type": "ISO"}, "belong together"),
        ({"namespace": "A\rB"}, "pattern"),
        ({"namespace": " "}, "pattern"),
    ],
)
def test_a_designator_is_whole(designator: dict[str, Any], reason: str):
    with pytest.raises(ValidationError, match=reason):
        Designator.model_validate(designator)


def test_a_form_may_leave_everything_to_its_defaults():
    assert MessageForm.model_validate({}).charset is Charset.UTF_8


def test_a_charset_whose_bytes_may_be_delimiters_is_refused():
    with pytest.raises(ValidationError):
        MessageForm.model_validate({"charset": "GB 18030-2000"})
