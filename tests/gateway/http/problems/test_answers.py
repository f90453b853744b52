"""Errors are answered by problem+json: a challenge, a time to come again, the methods allowed."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI
from httpx import ASGITransport

from gateway import errors
from gateway.http.problems.answers import install, internal_error, response_of
from gateway.schemas.problem import PROBLEM_MEDIA_TYPE, Problem


@pytest.fixture
async def caller() -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    install(app, docs="/prefix/docs")

    @app.get("/things/{number}")
    async def thing(number: int) -> int:
        if number == 0:
            raise errors.StudyNotFoundError
        return number

    @app.post("/things/{number}")
    async def make(number: int) -> int:
        return number

    transport = ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def problem_in(answer: httpx.Response) -> Problem:
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    problem = Problem.model_validate_json(answer.content)
    assert problem.status == answer.status_code
    return problem


async def test_an_error_of_ours_is_its_kind_of_problem(caller: httpx.AsyncClient):
    assert problem_in(await caller.get("/things/0")).type.endswith(":study-not-found")


async def test_a_parameter_that_is_none_is_named_without_its_value(caller: httpx.AsyncClient):
    answer = await caller.get("/things/MUSTERMANN")
    assert problem_in(answer).type.endswith(":invalid-query")
    assert answer.json()["errors"] == [
        {"pointer": "path/number", "detail": "must be a whole number"}
    ]
    assert "MUSTERMANN" not in answer.text


async def test_a_method_that_is_not_taken_is_told_those_of_all_routes(caller: httpx.AsyncClient):
    answer = await caller.delete("/things/1")
    assert problem_in(answer).status == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"


async def test_a_path_that_is_none_leads_to_the_documentation(caller: httpx.AsyncClient):
    assert "/prefix/docs" in (problem_in(await caller.get("/nothing")).detail or "")


def test_headers_follow_the_kind():
    assert "retry-after" in response_of(errors.InferenceOverloadedError("m"), None).headers
    assert "www-authenticate" in response_of(errors.CredentialsMissingError(), None).headers


def test_an_unexpected_error_shows_its_id_alone():
    body = internal_error("8e93").body
    assert Problem.model_validate_json(bytes(body)).instance is not None
    assert b"8e93" in bytes(body)
