"""The numbers of this moment are for operators."""

from gateway.access.callers import Scope
from tests.gateway.console.conftest import KeyedConsole
from tests.support.gateway import LiveGateway


async def test_the_numbers_are_of_this_gateway(console: LiveGateway):
    assert (await console.client.get("/console/live")).status_code == 200
    numbers = (await console.client.get("/console/live/numbers.json")).json()
    assert numbers["limit"] == 200
    assert numbers["in_flight"] == 0


async def test_they_are_for_operators(keyed: KeyedConsole):
    key, _ = keyed.key(Scope.STUDIES_READ)
    async with keyed.signed_in(key) as client:
        answer = await client.get("/console/live/numbers.json")
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:radstream:problem:scope-missing"
