"""`radstream parked`: items in lines for a person, or whole for a program."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import LiveGateway, run_command

ITEM: dict[str, Any] = {
    "schema": "radstream.parked/1",
    "id": f"{7:032x}",
    "parked_at": "2026-01-31T08:15:00Z",
    "half": "sidecar",
    "key": "S1/front.json",
    "study_id": "S1",
    "problem": {
        "type": "urn:radstream:problem:invalid-metadata",
        "title": "Invalid metadata",
        "status": 422,
        "detail": "Mend what is listed.",
        "errors": [{"pointer": "/view", "detail": "is required"}],
    },
}


@pytest.fixture
def item(gateway: LiveGateway) -> Iterator[str]:
    """Id of a parked item."""
    file = gateway.settings.store.folder / f"parked/{ITEM['id']}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(ITEM))
    yield ITEM["id"]
    file.unlink(missing_ok=True)


async def parked(gateway: LiveGateway, *arguments: str) -> tuple[int, str, str]:
    return await run_command("parked", *arguments, "--url", gateway.url)


async def test_items_are_listed_with_their_problems(gateway: LiveGateway, item: str):
    code, out, err = await parked(gateway, "list")
    assert (code, err) == (0, "")
    lines = out.splitlines()  # other tests park items, too
    begin = next(number for number, line in enumerate(lines) if line.startswith(item))
    assert lines[begin : begin + 3] == [
        f"{item}  2026-01-31T08:15:00Z  sidecar  S1/front.json  study S1",
        "  Invalid metadata. Mend what is listed.",
        "  /view is required",
    ]


async def test_items_are_listed_whole_for_programs(gateway: LiveGateway, item: str):
    _, out, _ = await parked(gateway, "list", "--json")
    [listed] = [each for each in map(json.loads, out.splitlines()) if each["id"] == item]
    assert listed["problem"] == ITEM["problem"]


async def test_items_are_discarded_until_one_is_not_there(gateway: LiveGateway, item: str):
    code, out, err = await parked(gateway, "discard", item, "0" * 32)
    assert (code, out) == (1, f"{item}  discarded")
    assert err == "Error: Parked item not found. Nothing is parked under this id."


async def test_what_was_discarded_is_told_as_json(gateway: LiveGateway, item: str):
    code, out, _ = await parked(gateway, "discard", item, "--json")
    assert (code, json.loads(out)) == (0, {"id": item})


async def test_what_is_no_gateway_is_named(gateway: LiveGateway):
    url = f"{gateway.url}/docs"
    code, _, err = await run_command("parked", "list", "--url", url)
    assert (code, err) == (1, "Error: Not found. See /docs for what is.")
