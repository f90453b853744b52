"""Patterns: each one that a person can miss has a sentence."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.schemas.acceptance import AcceptanceRequest
from gateway.schemas.feedback import FeedbackRequest
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.models import HealthAct
from gateway.schemas.patterns import SENTENCES
from gateway.schemas.routing import RoutingDocument
from gateway.settings import Settings


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for value in schema.values():
            yield from patterns(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from patterns(value)


@pytest.mark.parametrize(
    "model",
    [RoutingDocument, Settings, StudyMetadata, FeedbackRequest, AcceptanceRequest, HealthAct],
)
def test_every_pattern_of_what_people_write_has_a_sentence(model: type[BaseModel]):
    assert set(patterns(model.model_json_schema())) - SENTENCES.keys() == set()


def test_sentences_have_no_subject():
    assert {sentence.split()[0] for sentence in SENTENCES.values()} == {"must"}
