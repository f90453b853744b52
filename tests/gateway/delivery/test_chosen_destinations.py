"""Destinations of a study: all, unless rules name those of its images."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from gateway.delivery.chosen_destinations import ChosenDestinations
from gateway.observability.metrics import Metrics
from gateway.results.store import ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.routing.in_force import Routing
from gateway.schemas.routing import RoutingDocument
from gateway.studies.imaging import Imaging
from gateway.studies.routing_facts import RoutingExplanations
from preprocess import Limits
from tests.gateway.renderings.test_reports import add
from tests.support.delivery import dicom
from tests.support.dicom import file_of, radiograph
from tests.support.store import MemoryStore

CHEST = {"field": "dicom.BodyPartExamined", "equals": "CHEST"}
HAND = {"field": "dicom.BodyPartExamined", "equals": "HAND"}


def rule(name: str, when: dict[str, Any], *destinations: str) -> dict[str, Any]:
    return {"name": name, "when": when, "destinations": destinations}


async def chosen(**document: Any) -> list[str]:
    """Names of the destinations of a study of a chest."""
    routing = Routing(
        RoutingDocument.model_validate(
            {"schema": "radstream.routing/1"}
            | {"destinations": [dicom("pacs", 1), dicom("vna", 2), dicom("ward", 3)]}
            | document
        )
    )
    objects = MemoryStore()
    results = ResultStore(objects, StudyDocuments(objects))
    data = file_of(radiograph())
    await add(results, data, sop_instance_uid="1.2.3")
    record = await results.record("S1")
    assert record is not None
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    explanations = RoutingExplanations(routing, results, imaging)
    return [
        each.name for each in await ChosenDestinations(routing, explanations, results).of(record)
    ]


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({}, ["pacs", "vna", "ward"]),
        ({"rules": [rule("chest", CHEST)]}, ["pacs", "vna", "ward"]),
        ({"rules": [rule("chest", CHEST, "vna")]}, ["vna"]),
        ({"rules": [rule("a", CHEST, "ward"), rule("b", CHEST, "pacs")]}, ["pacs", "ward"]),
        ({"rules": [rule("hand", HAND, "vna")]}, []),
        ({"rules": [rule("hand", HAND)], "otherwise": {"destinations": ["ward"]}}, ["ward"]),
    ],
)
async def test_rules_choose_where_one_names_a_destination(
    document: dict[str, Any], names: list[str]
):
    assert await chosen(**document) == names


def test_a_destination_is_found_by_its_name():
    document = {"schema": "radstream.routing/1", "destinations": [dicom("pacs", 1)]}
    routing = Routing(RoutingDocument.model_validate(document))
    objects = MemoryStore()
    results = ResultStore(objects, StudyDocuments(objects))
    imaging = Imaging(threads=1, limits=Limits(), metrics=Metrics(CollectorRegistry()))
    found = ChosenDestinations(routing, RoutingExplanations(routing, results, imaging), results)
    assert [each.name for each in found.named("pacs")] == ["pacs"]
    assert found.named("vna") == ()
    assert found.are_any
