"""Judgements on studies over HTTP: kept with the study, found, asked for by a scope, audited."""

from pathlib import Path
from typing import Any

import httpx

from gateway.access.callers import Scope
from gateway.settings import AccessSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import add_key
from tests.support.gateway import (
    LiveGateway,
    audit_trail,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png

AGREES = {"label": "bright", "judgement": "agree", "author": "Dr. A"}


async def sent_study(client: httpx.AsyncClient, level: int = 255) -> str:
    document = metadata()
    answer = await client.post("/v1/studies", **multipart(document, flat_png(level)))
    assert answer.status_code == 200, answer.text
    study_id: str = document["study_id"]
    return study_id


async def test_a_judgement_is_kept_with_its_study_and_goes_with_it(gateway: LiveGateway):
    client = gateway.client
    study_id, other = await sent_study(client), await sent_study(client)
    path = f"/v1/studies/{study_id}"
    answer = await client.post(f"{path}/feedback", json=AGREES)
    assert answer.status_code == 200, answer.text
    [item] = answer.json()["feedback"]
    told = {name: value for name, value in item.items() if name != "at"}
    assert told == AGREES | {"present": True, "source": "reader"}
    answer = await client.post(f"{path}/feedback", json=AGREES | {"judgement": "disagree"})
    [again] = answer.json()["feedback"]
    assert (again["present"], again["at"] > item["at"]) == (False, True)
    assert (await client.get(path)).json()["feedback"] == [again]

    async def found(judged: str) -> set[str]:
        query: dict[str, Any] = {"feedback": judged, "limit": 200}
        studies = (await client.get("/v1/studies", params=query)).json()["studies"]
        return {item["study_id"] for item in studies} & {study_id, other}

    async def is_indexed() -> bool:
        return (await found("true"), await found("false")) == ({study_id}, {other})

    await until(is_indexed)
    given = [
        each["outcome"]
        for each in audit_trail(gateway.settings)
        if each["operation"] == "POST /v1/studies/{study_id}/feedback"
        and each["studies"] == [study_id]
    ]
    assert given == ["success", "success"]
    await client.delete(path)
    assert (await client.post(f"{path}/feedback", json=AGREES)).status_code == 410


async def test_what_is_no_judgement_on_the_study_is_refused(client: httpx.AsyncClient):
    path = f"/v1/studies/{await sent_study(client)}/feedback"
    for body, pointer in (
        ({"label": "pneumonia", "judgement": "agree"}, "/label"),
        ({"label": "bright", "judgement": "perhaps"}, "/judgement"),
        (AGREES | {"model": {"name": "other"}}, "/judgement"),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["type"] == "urn:radstream:problem:invalid-feedback"
        assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]
    assert (await client.post(path, content=b" " * 5000)).status_code == 413
    assert (await client.post("/v1/studies/nobody/feedback", json=AGREES)).status_code == 404


async def test_it_takes_a_scope_of_its_own_and_the_caller_is_the_author(
    triton: EmbeddedTriton, tmp_path: Path
):
    keys = tmp_path / "keys.json"
    sender, _ = add_key(keys, "ris", Scope.STUDIES_WRITE, Scope.STUDIES_READ)
    reader, _ = add_key(keys, "dr-b", Scope.STUDIES_FEEDBACK)
    settings = settings_for(triton.grpc_url, tmp_path / "store")
    settings = settings.model_copy(update={"access": AccessSettings(key_file=keys)})
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        client = gateway.client
        client.headers["X-API-Key"] = sender
        path = f"/v1/studies/{await sent_study(client)}/feedback"
        body = {"label": "bright", "judgement": "present", "source": "report"}
        assert (await client.post(path, json=body)).status_code == 403
        answer = await client.post(path, json=body, headers={"X-API-Key": reader})
        [item] = answer.json()["feedback"]
        assert (item["author"], item["source"], item["present"]) == ("dr-b", "report", True)
