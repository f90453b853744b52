"""Documented problems are grouped by status, each with an example that is one."""

from gateway import errors
from gateway.http.problems.openapi import add_documented, documented
from gateway.schemas.problem import PROBLEM_MEDIA_TYPE, Problem

BUSY = (errors.OverloadedError, errors.InferenceUnavailableError)


def examples(response: dict) -> dict:
    return response["content"][PROBLEM_MEDIA_TYPE]["examples"]


def test_errors_of_one_status_share_a_response():
    responses = documented(*BUSY, errors.StudyNotFoundError)
    assert set(responses) == {503, 404}
    busy = responses[503]
    assert busy["description"] == "Service overloaded; Model unavailable"
    assert "Retry-After" in busy["headers"]
    for name, example in examples(busy).items():
        problem = Problem.model_validate(example["value"])
        assert problem.type.endswith(name)
        assert problem.status == 503


def test_problems_of_another_response_are_added_once():
    response = documented(errors.InferenceUnavailableError)[503]
    more = documented(*BUSY)[503]
    for _ in range(2):
        add_documented(response, more)
    assert response["description"] == "Model unavailable; Service overloaded"
    assert list(examples(response)) == list(reversed(examples(more)))
