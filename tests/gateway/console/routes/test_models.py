"""The models are shown with their states and contracts."""

from gateway.access.callers import Scope
from tests.gateway.console.conftest import KeyedConsole, accept_brightness
from tests.support.gateway import LiveGateway


async def test_a_model_is_shown_with_its_contract(console: LiveGateway):
    page = (await console.client.get("/console/models")).text
    for words in (
        "Brightness",
        "ready",
        "32 \N{MULTIPLICATION SIGN} 32",
        "CR, DX",
        "Threshold 50.0",
    ):
        assert words in page


async def test_a_version_has_a_page_with_its_acceptance(console: LiveGateway):
    listed = (await console.client.get("/console/models")).text
    assert 'href="/console/models/brightness/1"' in listed
    await accept_brightness(console, "<b>Dr. A")
    page = (await console.client.get("/console/models/brightness/1")).text
    for words in ("&lt;b&gt;Dr. A", "not signed", "0.950", "0.790 to 0.960", "Beside brightness 2"):
        assert words in page
    assert "accepted</span>" in (await console.client.get("/console/models")).text


async def test_a_version_without_acceptance_and_shadow_says_so(keyed: KeyedConsole):
    key, _ = keyed.key(Scope.STUDIES_READ)
    async with keyed.signed_in(key) as client:
        page = (await client.get("/console/models/brightness/1")).text
    assert "No person has accepted this version" in page
    assert "No shadow model has read the same images" in page


async def test_an_unknown_version_is_no_page(console: LiveGateway):
    for path in ("brightness/7", "none/1", "<b>/1"):
        assert (await console.client.get(f"/console/models/{path}")).status_code == 404
