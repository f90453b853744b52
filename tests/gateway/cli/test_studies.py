"""`radstream studies` and `radstream study`."""

import json

from gateway.cli.studies import verdict
from tests.support.gateway import LiveGateway, metadata, multipart, run_command, until
from tests.support.models import flat_png


def test_a_finding_of_a_model_that_is_not_applicable_is_on_no_side():
    assert verdict({}) == "not applicable"
    assert verdict({"positive": False}) == "negative"
    assert verdict({"positive": True}) == "positive"


async def sent(gateway: LiveGateway, **attributes: str) -> str:
    document = metadata(**attributes)
    answer = await gateway.client.post("/v1/studies", **multipart(document, flat_png(255)))
    assert answer.status_code == 200
    study_id: str = document["study_id"]
    return study_id


async def test_studies_are_listed_newest_first_by_order(gateway: LiveGateway):
    order = f"A-{metadata()['study_id']}"
    studies = [await sent(gateway, accession_number=order) for _ in range(3)]
    at = ("--url", gateway.url, "--accession-number", order)

    async def are_indexed() -> bool:
        _, out, _ = await run_command("studies", *at, "--json")
        return len(out.splitlines()) == 3

    await until(are_indexed, 60)
    code, out, _ = await run_command("studies", *at, "--number", "2")
    assert code == 0
    assert [line.split("  ")[1] for line in out.splitlines()] == studies[:0:-1]
    assert out.splitlines()[0].endswith("completed  1  bright  anonymous")
    _, out, _ = await run_command("studies", *at, "--state", "failed")
    assert out == ""


async def test_a_study_is_shown_in_lines_and_whole(gateway: LiveGateway):
    study_id = await sent(gateway, note="unknown here")
    code, out, _ = await run_command("study", study_id, "--url", gateway.url)
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"study {study_id}  completed"
    assert lines[1] == "image 1  32 x 32"
    assert lines[2] == "  brightness/1  bright  0.982  positive"
    assert lines[-1].startswith("warning: /note")
    _, out, _ = await run_command("study", study_id, "--json", "--url", gateway.url)
    assert json.loads(out)["study_id"] == study_id


async def test_a_study_that_is_not_there(gateway: LiveGateway):
    code, _, err = await run_command("study", "unknown", "--url", gateway.url)
    assert code == 1
    assert err
