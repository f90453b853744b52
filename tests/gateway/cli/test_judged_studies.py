"""Studies with feedback, page by page."""

import datetime as dt

import httpx
import pytest
from click import ClickException

from gateway.cli.judged_studies import judged_studies

FIRST, LAST = dt.date(2026, 1, 1), dt.date(2026, 1, 31)


def answer(request: httpx.Request) -> httpx.Response:
    """Answers of a gateway with three such studies, two on the first page."""
    asked = dict(request.url.params)
    if request.url.path != "/v1/studies":
        return httpx.Response(200, json={"study_id": request.url.path.rpartition("/")[2]})
    if asked.get("cursor") == "2":
        return httpx.Response(200, json={"studies": [{"study_id": "C"}]})
    assert asked == {"from": "2026-01-01", "to": "2026-01-31", "feedback": "true", "limit": "200"}
    first = {"studies": [{"study_id": "A"}, {"study_id": "B"}], "next": "/v1/studies?cursor=2"}
    return httpx.Response(200, json=first)


def test_all_pages_are_asked_for():
    transport = httpx.MockTransport(answer)
    with httpx.Client(base_url="http://gateway", transport=transport) as client:
        found = list(judged_studies(client, FIRST, LAST))
    assert [each["study_id"] for each in found] == ["A", "B", "C"]


def test_a_problem_ends_the_command():
    def refuse(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"title": "Scope missing", "detail": "studies:read"})

    transport = httpx.MockTransport(refuse)
    with (
        httpx.Client(base_url="http://gateway", transport=transport) as client,
        pytest.raises(ClickException, match="Scope missing"),
    ):
        list(judged_studies(client, FIRST, LAST))
