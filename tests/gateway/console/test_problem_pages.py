"""Errors of pages are pages, in the reader's language."""

import pytest

from tests.support.gateway import LiveGateway, metadata, multipart
from tests.support.models import flat_png


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/console/studies/none", 404, "Studie nicht gefunden"),
        ("/console/studies/none/report.dcm", 404, "Studie nicht gefunden"),
        ("/console/studies/..%2F..", 404, "Seite nicht gefunden"),
        ("/console/studies/.hidden", 404, "Studie nicht gefunden"),
        ("/console/nowhere", 404, "Seite nicht gefunden"),
        ("/console/queue?after=ZZ", 404, "nicht gefunden"),
    ],
)
async def test_an_error_is_a_page(console: LiveGateway, path: str, status: int, words: str):
    answer = await console.client.get(path, headers={"Accept-Language": "de"})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert words in answer.text
    assert "Studien</a>" in answer.text  # it leads on


async def test_a_deleted_study_is_told_from_an_unknown_one(console: LiveGateway):
    document = metadata()
    await console.client.post("/v1/studies", **multipart(document, flat_png(200)))
    await console.client.delete(f"/v1/studies/{document['study_id']}")
    answer = await console.client.get(f"/console/studies/{document['study_id']}")
    assert answer.status_code == 410
    assert "Study deleted" in answer.text


async def test_an_error_names_the_request_for_the_operator(console: LiveGateway):
    answer = await console.client.get("/console/studies/none", headers={"X-Request-ID": "here-1"})
    assert "<code>here-1</code>" in answer.text
