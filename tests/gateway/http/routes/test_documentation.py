"""The documentation page needs no other server, and the OpenAPI document tells the truth."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from gateway.schemas.metadata import validate_document
from tests.gateway.http.requests.test_study_request import BAD
from tests.support.gateway import LiveGateway, metadata, multipart
from tests.support.models import flat_png


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await client.get("/openapi.json")).json()
    return document


def resolved(document: dict[str, Any], node: Any) -> Any:
    """The node, or what its $ref leads to."""
    if "$ref" not in node:
        return node
    target: Any = document
    for step in node["$ref"].removeprefix("#/").split("/"):
        target = target[step.replace("~1", "/").replace("~0", "~")]
    return target


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Hold a value to a schema of the document, whose references lead into the document."""
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(
        value
    )


async def test_the_way_in_for_a_person_is_the_documentation(client: httpx.AsyncClient):
    answer = await client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


async def test_the_page_needs_nothing_from_elsewhere(client: httpx.AsyncClient):
    page = (await client.get("/docs")).text
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(links) == 3
    for link in links:
        assert link.startswith("/docs/")
        assert (await client.get(link)).status_code == 200
    assert "<script>" not in page
    start = (await client.get("/docs/start.js")).text
    assert "http" not in start
    assert 'url: "/openapi.json"' in start


async def test_every_reference_leads_somewhere(document: dict[str, Any]):
    assert document["openapi"].startswith("3.1.")
    found = set(references(document))
    assert found
    for reference in found:
        assert reference.startswith("#/components/schemas/"), reference
        assert isinstance(resolved(document, {"$ref": reference}), dict)


async def test_every_operation_is_told_in_words(document: dict[str, Any]):
    for path, method, operation in operations(document):
        assert operation["summary"], (method, path)
        assert operation["tags"], (method, path)
        assert operation["description"], (method, path)
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (method, path, parameter["name"])


async def test_every_schema_of_the_document_is_a_json_schema(document: dict[str, Any]):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_every_example_keeps_to_its_schema(document: dict[str, Any]):
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            check(document, {"$ref": f"#/components/schemas/{name}"}, example)
    for _, _, operation in operations(document):
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    check(document, content["schema"], example["value"])
                    assert not re.search(r"\{\w+\}", json.dumps(example)), example  # no templates


async def test_the_example_of_a_study_can_be_sent(
    client: httpx.AsyncClient, document: dict[str, Any]
):
    content = document["paths"]["/v1/studies"]["post"]["requestBody"]["content"]
    form = content["multipart/form-data"]["schema"]
    [example] = resolved(document, form["properties"]["metadata"])["examples"]
    check(document, form["properties"]["metadata"], example)
    answer = await client.post("/v1/studies", **multipart(example, flat_png(200)))
    assert answer.status_code == 200
    assert set(content) >= {"image/jpeg", "image/png", "application/dicom"}


@pytest.mark.parametrize(
    "optional",
    [
        {},
        {"model": "brightness", "study_date": "20260131", "modality": "X-RAY", "note": [1]},
        {"model": {"name": "brightness", "version": "1"}, "image_size": None, "annotations": [1]},
    ],
)
async def test_metadata_that_are_taken_keep_to_the_documented_schema(
    document: dict[str, Any], optional: dict[str, Any]
):
    sent = metadata(**optional) | {"image_size": None}
    validate_document(sent)
    check(document, {"$ref": "#/components/schemas/StudyMetadata"}, sent)


async def test_results_keep_to_the_documented_schemas(
    client: httpx.AsyncClient, document: dict[str, Any]
):
    sent = await client.post(
        "/v1/studies", **multipart(metadata(note="x"), flat_png(200), flat_png(1))
    )
    path = f"/v1/studies/{sent.json()['study_id']}"
    for route, method, answer in [
        ("/v1/studies", "post", sent),
        ("/v1/studies/{study_id}", "get", await client.get(path)),
        ("/v1/studies", "get", await client.get("/v1/studies")),
        ("/v1/models", "get", await client.get("/v1/models")),
        ("/livez", "get", await client.get("/livez")),
        ("/readyz", "get", await client.get("/readyz")),
    ]:
        responses = document["paths"][route][method]["responses"]
        schema = responses["200"]["content"]["application/json"]["schema"]
        check(document, schema, answer.json())


async def test_every_problem_a_caller_meets_is_documented(
    gateway: LiveGateway, document: dict[str, Any]
):
    client = gateway.client
    study_id = (await client.post("/v1/studies", **multipart(metadata(), flat_png(3)))).json()[
        "study_id"
    ]
    image = "/v1/studies/{study_id}/images/{number}"
    conflict = multipart(metadata(study_id=study_id, patient_id="P"), flat_png(4))
    await client.post("/v1/studies", **conflict)
    contradiction = multipart(metadata(study_id=study_id, patient_id="Q"), flat_png(5))
    met = [
        ("/v1/studies", "post", await client.post("/v1/studies", **contradiction)),
        ("/v1/studies", "get", await client.get("/v1/studies?limit=0")),
        ("/v1/studies/{study_id}", "get", await client.get("/v1/studies/none")),
        ("/v1/studies/{study_id}", "get", await client.get("/v1/studies/.x")),
    ]
    met += [
        ("/v1/studies", "post", await client.post("/v1/studies", **bad[0])) for bad in BAD.values()
    ]
    for name in ("preview.png", "heatmap.png"):
        for path in (f"{study_id}/images/9", f"{study_id}/images/0", "none/images/1"):
            answer = await client.get(f"/v1/studies/{path}/{name}")
            met.append((f"{image}/{name}", "get", answer))
    met.append(
        (
            f"{image}/heatmap.png",
            "get",
            await client.get(f"/v1/studies/{study_id}/images/1/heatmap.png?label=none"),
        )
    )
    for route, method, answer in met:
        responses = document["paths"][route][method]["responses"]
        content = responses[str(answer.status_code)]["content"]["application/problem+json"]
        check(document, content["schema"], answer.json())
        kinds = {example["value"]["type"] for example in content["examples"].values()}
        assert answer.json()["type"] in kinds, (method, route, answer.text)
