"""A key begins a session, signing out ends it, and no form leads to another site."""

import re

import pytest

from gateway.access.callers import Scope
from tests.gateway.console.conftest import KeyedConsole
from tests.support.gateway import LiveGateway, client_of


async def test_a_session_begins_with_a_key_and_ends(keyed: KeyedConsole):
    key, _ = keyed.key(Scope.STUDIES_READ)
    async with keyed.signed_in(key) as client:
        page = await client.get("/console/studies")
        assert page.status_code == 200
        [csrf] = re.findall(r'data-csrf="([^"]+)"', page.text)
        answer = await client.post("/console/sign-out", data={"csrf": csrf})
        assert answer.status_code == 303
        assert (await client.get("/console/studies")).status_code == 401


async def test_the_cookie_is_for_the_console_alone_and_no_scripts(keyed: KeyedConsole):
    key, entry = keyed.key(Scope.STUDIES_READ)
    async with keyed.signed_in(key) as client:
        answer = await client.post("/console/sign-in", data={"key": f" {key} "})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/console" in cookie
        assert "Max-Age=28800" in cookie
        assert key not in cookie
        assert entry.id not in cookie
        # The API takes no cookie, so that no other site's form can use the session there.
        answer = await client.get("/v1/studies", headers={"Cookie": cookie.partition(";")[0]})
        assert answer.status_code == 401


@pytest.mark.parametrize("key", ["", "secret", "radstream_0123456789_" + "0" * 38])
async def test_another_key_is_refused_with_the_reason(keyed: KeyedConsole, key: str):
    async with client_of(keyed.gateway.url) as client:
        answer = await client.post("/console/sign-in", data={"key": key, "next": "/console/live"})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert 'role="alert"' in answer.text
        assert 'value="/console/live"' in answer.text


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("/console/studies/S-1?image=2", "/console/studies/S-1?image=2"),
        ("https://evil.example", "/console"),
        ("//evil.example", "/console"),
        ("/console/\\evil.example", "/console"),
        ("/console/\r\nX: 1", "/console"),
        ("/v1/studies", "/console"),
        ("", "/console"),
    ],
)
async def test_no_form_leads_to_another_site(console: LiveGateway, asked: str, led_to: str):
    answer = await console.client.post("/console/language", data={"next": asked})
    assert answer.headers["location"] == led_to
