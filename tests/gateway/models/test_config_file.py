"""Configurations that make the same answers of a version, and those that do not."""

import json
from typing import Any

import pytest
from google.protobuf import text_format

from gateway.models.config_file import same_answers
from tests.support.models import contract, model_config

OTHER_LABELS = {"output": {"labels": [{"label": "bright", "threshold": 0.7}]}}


def written(common: Any, batch: int = 8, **overrides: Any) -> bytes:
    """Return a config.pbtxt; `v2` is what version 2 overrides."""
    config = model_config(max_batch_size=batch)
    config.parameters["radstream"].string_value = json.dumps(common)
    for name, document in overrides.items():
        config.parameters[f"radstream.{name[1:]}"].string_value = json.dumps(document)
    return text_format.MessageToString(config).encode()


BEFORE = written(contract())


@pytest.mark.parametrize(
    ("after", "same"),
    [
        (BEFORE, True),
        (b"# a comment\n" + BEFORE, True),
        (written(contract(), v2=OTHER_LABELS), True),
        (written(contract({"title": None}), v1={"title": "Brightness"}), True),
        (written(contract(), v1=OTHER_LABELS), False),
        (written(contract(OTHER_LABELS)), False),
        (written(contract(), batch=0), False),
        (b"what is this", False),
        (b"\xff", False),
    ],
)
def test_configurations_are_compared_by_what_they_make_of_one_version(after: bytes, same: bool):
    assert same_answers(BEFORE, after, "1") is same
