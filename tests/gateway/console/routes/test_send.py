"""Studies sent from the browser are answered as by the API; samples need one click."""

from tests.support.gateway import LiveGateway, metadata, multipart
from tests.support.models import flat_png


async def test_a_study_is_answered_as_by_the_api(console: LiveGateway):
    document = metadata()
    sent = multipart(document, flat_png(250))
    answer = await console.client.post("/console/send/study", **sent)
    assert answer.status_code == 200
    assert answer.json()["study_id"] == document["study_id"]
    again = await console.client.post("/v1/studies", **multipart(document, flat_png(250)))
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_problem_is_answered_as_by_the_api(console: LiveGateway):
    answer = await console.client.post("/console/send/study", **multipart(metadata(), b"text"))
    assert answer.status_code == 415
    assert answer.json()["type"] == "urn:radstream:problem:unsupported-image"


async def test_a_script_of_another_site_sends_nothing(console: LiveGateway):
    answer = await console.client.post(
        "/console/send/study",
        headers={"Origin": "https://evil.example"},
        **multipart(metadata(), flat_png(250)),
    )
    assert answer.status_code == 403


async def test_samples_are_processed_and_shown(console: LiveGateway):
    for _ in range(2):  # again is no other study
        answer = await console.client.post("/console/send/samples")
        assert answer.headers["location"] == "/console/studies/sample-pneumonia"
    page = await console.client.get("/console/studies/sample-pneumonia")
    assert page.status_code == 200
    assert "984 \N{MULTIPLICATION SIGN} 712" in page.text
