"""Pages run nothing but files of the package, and escape whatever is not theirs."""

import re
from pathlib import Path

from gateway.console import pages
from tests.gateway.console.conftest import listed
from tests.support.gateway import LiveGateway, metadata, multipart
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
