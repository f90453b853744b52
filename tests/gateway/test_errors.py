"""Errors carry fields, and a label that stays."""

import pytest

from gateway.errors import (
    InferenceFailedError,
    RadStreamError,
    StoreUnavailableError,
    StudyNotFoundError,
    log_fields,
)


def test_text_is_the_class_with_its_fields():
    assert str(InferenceFailedError("cxr", "INTERNAL")) == (
        "InferenceFailedError(model_name='cxr', reason='INTERNAL')"
    )
    assert str(StudyNotFoundError()) == "StudyNotFoundError()"


def test_a_class_without_a_label_is_none():
    with pytest.raises(TypeError, match="label"):
        type("UnlabelledError", (RadStreamError,), {})


def test_of_the_store_alone_the_log_has_the_reason():
    assert log_fields(StoreUnavailableError("SlowDown")) == {
        "error": StoreUnavailableError.label,
        "reason": "SlowDown",
    }
    assert log_fields(InferenceFailedError("cxr", "MUSTERMANN")) == {
        "error": InferenceFailedError.label
    }
