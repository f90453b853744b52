"""Sessions: who has one sees what the key allows, for as long as the key is valid."""

import re

import pytest

from gateway.access.callers import Scope
from tests.gateway.console.conftest import KeyedConsole
from tests.support.access import remove_key
from tests.support.gateway import LiveGateway, audit_trail, client_of, metadata, multipart, until
from tests.support.models import flat_png

PAGES = ("studies", "send", "queue", "destinations", "rules", "models", "live")


async def test_without_keys_the_console_is_open_and_says_so(console: LiveGateway):
    answer = await console.client.get("/console/studies")
    assert answer.status_code == 200
    assert "No keys are set up" in answer.text


@pytest.mark.parametrize("headers", [{"Host": "rebound.example"}, {"X-Forwarded-For": "10.0.0.1"}])
async def test_without_keys_only_this_machine_is_served(
    console: LiveGateway, headers: dict[str, str]
):
    answer = await console.client.get("/console/studies", headers=headers)
    assert answer.status_code == 403
    assert "No keys are set up" not in answer.text


async def test_without_a_session_every_page_asks_to_sign_in(keyed: KeyedConsole):
    async with client_of(keyed.gateway.url) as client:
        for section in PAGES:
            answer = await client.get(f"/console/{section}?x=1")
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert f'value="/console/{section}?x=1"' in answer.text


async def test_a_session_sees_what_its_key_allows(keyed: KeyedConsole):
    key, _ = keyed.key(Scope.STUDIES_READ)
    async with keyed.signed_in(key) as client:
        assert (await client.get("/console/studies")).status_code == 200
        for section in ("queue", "destinations", "rules", "live", "send"):
            answer = await client.get(f"/console/{section}")
            assert answer.status_code == 403
            assert "Your key does not allow this page" in answer.text
        home = await client.get("/console/studies")
        assert re.findall(r'href="/console/([a-z]+)"', home.text) == ["studies", "models"]


async def test_a_revoked_key_ends_its_sessions(keyed: KeyedConsole):
    key, entry = keyed.key(Scope.STUDIES_READ)
    async with keyed.signed_in(key) as client:
        assert (await client.get("/console/studies")).status_code == 200
        remove_key(keyed.file, entry)

        async def has_ended() -> bool:
            return (await client.get("/console/studies")).status_code == 401

        await until(has_ended, 60)
        assert "was revoked" in (await client.get("/console/studies")).text


async def test_a_cookie_that_was_not_made_here_has_ended(keyed: KeyedConsole):
    async with client_of(keyed.gateway.url) as client:
        client.cookies.set("radstream_session", "gAAAAABinvented")
        answer = await client.get("/console/studies")
        assert answer.status_code == 401
        assert "Your session has ended" in answer.text


async def test_a_form_without_the_sessions_token_is_refused(keyed: KeyedConsole):
    key, _ = keyed.key(*Scope)
    async with keyed.signed_in(key) as client:
        for path in ("queue/retry", "queue/discard", "send/samples", "sign-out"):
            for data in ({}, {"csrf": "invented"}, {"csrf": "ä"}):
                answer = await client.post(f"/console/{path}", data=data)
                assert answer.status_code == 403, path
                assert "Form out of date" in answer.text
        sent = multipart(metadata(), flat_png(200))
        answer = await client.post("/console/send/study", **sent)
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:radstream:problem:stale-form"


@pytest.mark.parametrize(
    ("site", "status"), [("same-origin", 303), ("same-site", 403), ("cross-site", 403)]
)
async def test_no_other_site_signs_a_person_in(keyed: KeyedConsole, site: str, status: int):
    key, _ = keyed.key(Scope.STUDIES_READ)
    async with keyed.signed_in(key) as client:  # so that the key is known
        headers = {"Sec-Fetch-Site": site}
        answer = await client.post("/console/sign-in", data={"key": key}, headers=headers)
    assert answer.status_code == status
    assert ("set-cookie" in answer.headers) == (status == 303)


async def test_each_view_of_a_study_is_in_the_audit_trail(keyed: KeyedConsole):
    key, _ = keyed.key(Scope.STUDIES_READ, Scope.STUDIES_WRITE)
    document = metadata()
    study_id = document["study_id"]
    async with keyed.signed_in(key) as client:
        sent = await client.post(
            "/v1/studies", headers={"X-API-Key": key}, **multipart(document, flat_png(200))
        )
        assert sent.status_code == 200
        page = await client.get(f"/console/studies/{study_id}")
        [picture] = re.findall(r'src="(/console/studies/[^"]+preview.png[^"]*)"', page.text)
        assert (await client.get(picture)).headers["content-type"] == "image/png"
    records = [
        (record["operation"], record["agent"]["name"], record.get("image"))
        for record in audit_trail(keyed.gateway.settings)
        if study_id in record["studies"] and "console" in record["operation"]
    ]
    assert records == [
        ("GET /console/studies/{study_id}", "reader", None),
        ("GET /console/studies/{study_id}/images/{number}/preview.png", "reader", 1),
    ]
