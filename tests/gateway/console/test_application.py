"""The console is there where it is switched on, and the way in for a person."""

from tests.support.gateway import LiveGateway


async def test_the_way_in_leads_to_the_console(console: LiveGateway):
    answer = await console.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/console")
    answer = await console.client.get("/console")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/studies")


async def test_where_it_is_off_nothing_of_it_is_served(gateway: LiveGateway):
    for path in ("/console", "/console/studies", "/console/static/0123456789abcdef/console.css"):
        assert (await gateway.client.get(path)).status_code == 404


async def test_the_api_does_not_tell_of_it(console: LiveGateway):
    paths = (await console.client.get("/openapi.json")).json()["paths"]
    assert not [path for path in paths if path.startswith("/console")]
