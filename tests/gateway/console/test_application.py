"""The console is there where it is switched on, and the way in for a person."""

from gateway.app.server import serves_console
from gateway.settings import AccessSettings, ConsoleSettings, HttpSettings, Settings
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


def test_up_serves_it_unless_sessions_would_have_no_keys(tmp_path):
    assert serves_console(Settings())
    assert not serves_console(Settings(console=ConsoleSettings(enabled=False)))
    beyond = {
        "http": HttpSettings(host="0.0.0.0"),  # noqa: S104 - not listened on
        "access": AccessSettings(key_file=tmp_path / "keys"),
    }
    assert not serves_console(Settings(**beyond))
    keys = ConsoleSettings(session_keys=("A" * 43 + "=",))
    assert serves_console(Settings(console=keys, **beyond))
