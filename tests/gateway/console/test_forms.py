"""Forms are short, and on a gateway without keys of its own pages alone."""

import httpx

from tests.support.gateway import LiveGateway


async def language(gateway: LiveGateway, **arguments: object) -> httpx.Response:
    return await gateway.client.post("/console/language", **arguments)


async def test_a_form_is_read(console: LiveGateway):
    answer = await language(console, data={"language": "de", "next": "/console/send?x=1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/send?x=1")
    assert answer.cookies["radstream_language"] == "de"
    console.client.cookies.clear()


async def test_a_form_of_another_site_is_refused(console: LiveGateway):
    answer = await language(console, data={"next": "/"}, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/html")


async def test_a_long_form_is_refused(console: LiveGateway):
    answer = await language(console, data={"next": "x" * 70_000})
    assert answer.status_code == 413


async def test_a_form_that_is_none_is_refused(console: LiveGateway):
    answer = await language(console, content=b"\xff\xfe")
    assert answer.status_code == 400
    answer = await language(console, content=b"&".join(b"a=1" for _ in range(600)))
    assert answer.status_code == 400
