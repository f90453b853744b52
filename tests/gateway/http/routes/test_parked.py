"""Parked items over HTTP: pages of them, and items that are not there."""

import httpx
import pytest

from tests.support.gateway import LiveGateway

ABSENT = "0" * 32


async def test_an_empty_list_has_no_next_page(client: httpx.AsyncClient):
    answer = await client.get("/v1/parked", params={"after": "f" * 32})
    assert (answer.status_code, answer.json()) == (200, {"parked": []})


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "201"}, {"after": "ZZ"}])
async def test_a_query_that_is_none_is_refused(client: httpx.AsyncClient, query: dict[str, str]):
    answer = await client.get("/v1/parked", params=query)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:radstream:problem:invalid-query"


async def test_an_item_that_is_not_there_can_be_neither_retried_nor_discarded(
    gateway: LiveGateway,
):
    for answer in (
        await gateway.client.post(f"/v1/parked/{ABSENT}/retry"),
        await gateway.client.delete(f"/v1/parked/{ABSENT}"),
    ):
        assert answer.status_code == 404
        assert answer.json()["type"] == "urn:radstream:problem:parked-item-not-found"
