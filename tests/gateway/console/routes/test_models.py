"""The models are shown with their states and contracts."""

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
