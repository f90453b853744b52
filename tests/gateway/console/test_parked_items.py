"""Items that a form names are settled together, and what cannot be is counted."""

import pytest

from gateway.access.callers import Scope
from gateway.console.parked_items import PAGE
from tests.gateway.console.conftest import KeyedConsole
from tests.support.gateway import LiveGateway

ABSENT = "0" * 32


async def test_an_item_that_is_gone_is_counted(console: LiveGateway):
    answer = await console.client.post("/console/queue/retry", data={"item": [ABSENT, "../x"]})
    assert answer.headers["location"] == "/console/queue?done=0&failed=2"
    assert "Failed: 2." in (await console.client.get(answer.headers["location"])).text


async def test_a_form_has_a_page_of_items_at_most_each_once(console: LiveGateway):
    items = [f"{number:032x}" for number in range(PAGE + 5)]
    answer = await console.client.post("/console/queue/discard", data={"item": [*items, *items]})
    assert answer.headers["location"] == f"/console/queue?done=0&failed={PAGE}"


@pytest.mark.parametrize("path", ["queue/discard", "destinations/pacs/discard"])
async def test_a_form_of_another_session_does_nothing(keyed: KeyedConsole, path: str):
    key, _ = keyed.key(*Scope)
    async with keyed.signed_in(key) as client:
        answer = await client.post(f"/console/{path}", data={"item": ABSENT, "csrf": "other"})
    assert answer.status_code == 403
    assert "Nothing was done" in answer.text
