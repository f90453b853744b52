"""Pages run nothing but files of the package, and escape whatever is not theirs."""

import re
from pathlib import Path

from gateway.console import pages
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.console.conftest import listed, with_console
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png

TEMPLATES = Path(pages.__file__).parent / "templates"
FIFTY = 50


async def test_pages_allow_no_code_of_their_own_and_none_of_others(console: LiveGateway):
    answer = await console.client.get("/console/studies")
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"


def test_templates_have_no_code_and_name_no_other_server():
    for path in TEMPLATES.glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*src=)|javascript:", text)
        assert "http:" not in text
        assert "https:" not in text
        assert "| safe" not in text


async def test_files_of_pages_may_be_kept_and_others_are_not_there(console: LiveGateway):
    page = (await console.client.get("/console/studies")).text
    names = re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page)
    assert len(names) == 3
    for name in names:
        answer = await console.client.get(name)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    [script] = [name for name in names if name.endswith(".js")]
    media_type = (await console.client.get(script)).headers["content-type"]
    assert media_type.startswith("text/javascript")
    folder = script.rpartition("/")[0]
    for path in (f"{folder}/../pages.py", f"{folder}/none.js", "/console/static/" + "0" * 16):
        assert (await console.client.get(path)).status_code == 404


async def test_a_page_follows_the_readers_language(console: LiveGateway):
    german = await console.client.get("/console/send", headers={"Accept-Language": "de"})
    assert '<html lang="de">' in german.text
    assert "Röntgenbilder oder Ordner hier ablegen" in german.text


async def test_a_page_of_fifty_studies_is_small(console: LiveGateway):
    for number in range(FIFTY):
        document = metadata(accession_number="FIFTY", patient_id=f"P-{number}")
        sent = await console.client.post("/v1/studies", **multipart(document, flat_png(200)))
        assert sent.status_code == 200
    answer = await listed(console, "q=FIFTY", FIFTY)
    assert len(answer.content) < 200_000


async def test_behind_a_proxy_all_paths_begin_with_its_prefix(
    triton: EmbeddedTriton, tmp_path: Path
):
    settings = with_console(settings_for(triton.grpc_url, tmp_path / "store"))
    http = settings.http.model_copy(update={"path_prefix": "/radstream"})
    async with running_gateway(settings.model_copy(update={"http": http})) as gateway:
        await until(gateway.is_ready)
        assert (await gateway.client.get("/")).headers["location"] == "/radstream/console"
        sent = await gateway.client.post("/console/send/samples")
        assert sent.headers["location"] == "/radstream/console/studies/sample-pneumonia"
        for path in (
            "studies",
            "studies/sample-pneumonia",
            "send",
            "queue",
            "destinations",
            "models",
        ):
            page = (await gateway.client.get(f"/console/{path}")).text
            found = re.findall(r'(?:href|src|action|data-root|data-live|value)="(/[^"]*)"', page)
            assert found
            assert [each for each in found if not each.startswith("/radstream/")] == []
        answer = await gateway.client.post(
            "/console/language", data={"language": "de", "next": "/radstream/console/live"}
        )
        assert answer.headers["location"] == "/radstream/console/live"
        assert "Path=/radstream/console" in answer.headers["set-cookie"]
