"""Errors of pages are pages, in the reader's language."""

import pytest

from gateway.console.routes import models
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


async def test_an_unexpected_error_is_a_page_with_an_id_and_nothing_else(
    console: LiveGateway, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("P-7 Ann Doe")

    monkeypatch.setattr(models, "page", broken)
    answer = await console.client.get("/console/models", headers={"X-Request-ID": "here-2"})
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "Internal server error" in answer.text
    assert "<code>here-2</code>" in answer.text
    assert "Ann Doe" not in answer.text
