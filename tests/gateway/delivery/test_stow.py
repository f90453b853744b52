"""STOW-RS to archives: each answer, and archives that give none."""

import datetime as dt
import ssl
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from gateway.delivery.stow import StowTransport
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.runtime.deadline import Deadline
from gateway.schemas.routing_destinations import StowDestination
from tests.support.delivery_archives import failed, mute, rendering, stored, web_archive


def to(url: str, **changes: Any) -> StowTransport:
    """The way to the archive."""
    return StowTransport(
        StowDestination.model_validate({"name": "vna", "kind": "stow", "url": url} | changes)
    )


def soon() -> Deadline:
    return Deadline.after(20.0)


async def test_an_object_is_stored_as_the_one_part_of_a_request():
    sent = rendering()
    async with web_archive() as vna:
        await to(f"{vna.url}/").send(sent, soon())
    assert vna.held == {sent.uid: 1}
    [headers] = vna.came
    assert headers["accept"] == "application/dicom+json"
    assert headers["content-type"].startswith('multipart/related; type="application/dicom"; ')


async def test_an_object_beyond_a_megabyte_goes_through():
    sent = rendering(PixelData=bytes(2**22))
    async with web_archive() as vna:
        await to(vna.url).send(sent, soon())
    assert vna.held == {sent.uid: 1}


async def test_a_warning_is_success_and_is_logged():
    sent = rendering()
    async with web_archive() as vna:
        vna.answers.append((202, stored(sent.uid, 0xB000), {}))
        with capture_logs() as events:
            await to(vna.url).send(sent, soon())
    [event] = events
    assert (event["event"], event["status"]) == ("delivery.stored_with_warning", "B000")


@pytest.mark.parametrize("body", [None, {}, [], {"00081199": {"vr": "SQ"}}])
async def test_status_200_is_success_whatever_its_items(body: Any):
    async with web_archive() as vna:
        vna.answers.append((200, body, {}))
        await to(vna.url).send(rendering(), soon())


@pytest.mark.parametrize("status", [200, 202, 409])
@pytest.mark.parametrize("reason", [0x0122, 0xA900, 0xC000, 0x0124])
async def test_a_failed_item_is_for_good_whatever_the_status(status: int, reason: int):
    sent = rendering()
    async with web_archive() as vna:
        vna.answers.append((status, failed(sent.uid, reason), {}))
        with pytest.raises(DeliveryRefusedError, match=f"{status}, reason {reason:04X}"):
            await to(vna.url).send(sent, soon())


async def test_a_failure_without_a_uid_is_the_objects():
    async with web_archive() as vna:
        other = {"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]}}
        vna.answers.append((202, other, {}))
        with pytest.raises(DeliveryRefusedError, match="C000"):
            await to(vna.url).send(rendering(), soon())


@pytest.mark.parametrize("reason", [0xA700, 0x0110])
async def test_an_archive_that_is_full_or_fails_is_tried_again(reason: int):
    sent = rendering()
    async with web_archive() as vna:
        vna.answers.append((409, failed(sent.uid, reason), {}))
        with pytest.raises(DeliveryUnansweredError, match=f"{reason:04X}"):
            await to(vna.url).send(sent, soon())


async def test_a_duplicate_is_held():
    sent = rendering()
    async with web_archive() as vna:
        vna.answers.append((409, failed(sent.uid, 0x0111), {}))
        await to(vna.url).send(sent, soon())


@pytest.mark.parametrize("status", [301, 400, 403, 404, 409, 413, 415])
async def test_a_status_that_refuses_is_for_good(status: int):
    async with web_archive() as vna:
        vna.answers.append((status, None, {"Location": "/elsewhere"} if status < 400 else {}))
        with pytest.raises(DeliveryRefusedError, match=str(status)):
            await to(vna.url).send(rendering(), soon())


@pytest.mark.parametrize("status", [202, 401, 408, 429, 500, 502, 503])
async def test_a_status_that_passes_or_says_nothing_is_tried_again(status: int):
    async with web_archive() as vna:
        vna.answers.append((status, None, {}))
        with pytest.raises(DeliveryUnansweredError, match=str(status)) as caught:
            await to(vna.url).send(rendering(), soon())
    assert caught.value.retry_after_s is None


async def test_retry_after_is_read_as_seconds_and_as_a_date():
    at = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=100), usegmt=True)
    async with web_archive() as vna:
        for value, least, most in [
            ("7", 7, 7),
            (at, 60, 101),
            ("999999", 3600, 3600),
            ("-1", 0, 0),
        ]:
            vna.answers.append((503, None, {"Retry-After": value}))
            with pytest.raises(DeliveryUnansweredError) as caught:
                await to(vna.url).send(rendering(), soon())
            assert least <= (caught.value.retry_after_s or 0) <= most


async def test_nobody_there_and_nobody_who_answers():
    with mute() as port:
        transport = to(f"http://127.0.0.1:{port}")
        with pytest.raises(DeliveryUnansweredError) as caught:
            await transport.send(rendering(), Deadline.after(0.5))
        assert caught.value.is_sent
    with pytest.raises(DeliveryUnansweredError) as caught:
        await transport.send(rendering(), soon())
    assert not caught.value.is_sent


async def test_a_search_tells_if_the_archive_holds_the_object():
    sent = rendering()
    async with web_archive() as vna:
        transport = to(vna.url)
        assert await transport.is_held(sent, soon()) is False
        await transport.send(sent, soon())
        assert await transport.is_held(sent, soon()) is True
        vna.searches = 204
        assert await transport.is_held(sent, soon()) is False
        vna.searches = 501
        assert await transport.is_held(sent, soon()) is None
        vna.searches = 503
        with pytest.raises(DeliveryUnansweredError):
            await transport.is_held(sent, soon())


async def test_credentials_come_from_files_as_they_are_now(tmp_path: Path):
    authority, sent = trustme.CA(), rendering()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    files = {name: tmp_path / name for name in ("certificate", "key", "authorities", "secret")}
    own = authority.issue_cert("gateway.example.org")
    own.cert_chain_pems[0].write_to_path(files["certificate"])
    own.private_key_pem.write_to_path(files["key"])
    authority.cert_pem.write_to_path(files["authorities"])
    tls = {name: str(files[name]) for name in ("certificate", "key", "authorities")}
    async with web_archive(server) as vna:
        transport = to(vna.url, tls=tls, bearer_file=str(files["secret"]))
        with pytest.raises(DeliveryUnansweredError, match="cannot be read"):
            await transport.send(sent, soon())
        for token in ("first", "second"):
            files["secret"].write_text(f"{token}\n")
            await transport.send(sent, soon())
        files["secret"].write_text("")
        with pytest.raises(DeliveryUnansweredError, match="has none"):
            await transport.send(sent, soon())
        files["secret"].write_text("pass")
        basic = {"user": "rad", "password_file": str(files["secret"])}
        await to(vna.url, tls=tls, basic=basic).send(sent, soon())
        with pytest.raises(DeliveryUnansweredError):
            await to(vna.url, tls={"authorities": tls["authorities"]}).send(sent, soon())
        with pytest.raises(DeliveryUnansweredError):
            await to(vna.url).send(sent, soon())
    told = [headers.get("authorization") for headers in vna.came]
    assert told == ["Bearer first", "Bearer second", "Basic cmFkOnBhc3M="]
