"""Every answer tells browsers what not to do, and none tells what serves it."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.settings import AccessSettings
from tests.support.gateway import LiveGateway, running_gateway, settings_for

VIEWER = "https://viewer.example.org"


@pytest.fixture(scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveGateway]:
    """A gateway that lets the pages of one origin call it; its Triton is away."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "keys").write_text('{"keys":[]}')
    access = AccessSettings(key_file=folder / "keys", cors_origins=(VIEWER,))
    settings = settings_for("127.0.0.1:1", folder / "store").model_copy(update={"access": access})
    async with running_gateway(settings) as gateway:
        yield gateway


@pytest.mark.parametrize(
    "path", ["/livez", "/docs", "/docs/assets/swagger-ui.css", "/openapi.json", "/v1/studies", "/x"]
)
async def test_every_answer_has_them(path: str, shared: LiveGateway):
    headers = (await shared.client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers
    assert "strict-transport-security" not in headers  # means nothing over plain HTTP


async def test_nothing_runs_but_the_documentations_own_scripts(shared: LiveGateway):
    async def policy(path: str) -> dict[str, str]:
        sent = (await shared.client.get(path)).headers["content-security-policy"]
        return dict(part.split(" ", 1) for part in sent.split("; "))

    assert await policy("/livez") == {"default-src": "'none'", "frame-ancestors": "'none'"}
    documentation = await policy("/docs")
    assert documentation["default-src"] == "'none'"
    assert documentation["script-src"] == "'self'"
    page = (await shared.client.get("/docs")).text
    assert re.findall(r"<script(?! src=)|\son\w+=|javascript:", page) == []


def preflight(origin: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Origin": origin, "Access-Control-Request-Method": "POST"}}


async def test_pages_of_named_origins_may_call(shared: LiveGateway):
    allowed = await shared.client.options("/v1/studies", **preflight(VIEWER))
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == VIEWER
    assert "access-control-allow-credentials" not in allowed.headers
    refused = await shared.client.options("/v1/studies", **preflight("https://evil.test"))
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    answer = await shared.client.get("/v1/studies", headers={"Origin": VIEWER})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, VIEWER)


async def test_such_pages_may_send_every_header_that_the_api_takes(shared: LiveGateway):
    document = (await shared.client.get("/openapi.json")).json()
    parameters = document["paths"]["/v1/studies"]["post"]["parameters"]
    names = [item["name"] for item in parameters if item["in"] == "header"]
    assert "Prefer" in names
    asked = preflight(VIEWER)
    asked["headers"]["Access-Control-Request-Headers"] = ", ".join(names).lower()
    assert (await shared.client.options("/v1/studies", **asked)).status_code == 200


async def test_no_page_of_another_origin_may_unless_named(client: httpx.AsyncClient):
    asked = {"Origin": VIEWER, "Access-Control-Request-Method": "GET"}
    answer = await client.options("/v1/studies", headers=asked)
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]
