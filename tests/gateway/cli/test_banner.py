"""The banner says where everything is, by the settings; its example works as it stands."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from gateway.cli.banner import banner
from gateway.settings import (
    AccessSettings,
    ConsoleSettings,
    DimseSettings,
    DropFolderSettings,
    HttpSettings,
    Settings,
    StoreSettings,
)

if TYPE_CHECKING:
    from gateway.triton.embedded import EmbeddedTriton

TRITON = cast(
    "EmbeddedTriton",
    SimpleNamespace(grpc_url="127.0.0.1:1", http_url="127.0.0.1:2", metrics_url="http://m"),
)
S3 = StoreSettings(kind="s3", images_bucket="images-1", results_bucket="results-1")


def said(url: str = "http://127.0.0.1:8080", **groups: Any) -> list[str]:
    text = banner(Settings(**groups), url, TRITON, program="radstream")
    return [line.strip() for line in text.splitlines() if line]


def test_a_gateway_where_it_is_usual_needs_no_url(tmp_path):
    store, drop = tmp_path / "store", tmp_path / "drop"
    lines = said(store=StoreSettings(folder=store), dropfolder=DropFolderSettings(folder=drop))
    assert f"drop here  {drop}" in lines
    assert f"results in {store}" in lines
    assert lines[-1] == "Try: radstream send tests/data/images/*.jpeg"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9090", "https://127.0.0.1:8080", "http://[::1]:8080"]
)
def test_the_example_names_a_gateway_that_is_elsewhere(url: str):
    lines = said(url)
    assert f"studies    {url}/v1/studies" in lines
    assert lines[-1] == f"Try: radstream send --url {url} tests/data/images/*.jpeg"


def test_the_console_is_named_first_where_it_is_served():
    lines = said("http://127.0.0.1:9090", http=HttpSettings(path_prefix="/radstream"))
    assert lines[1] == "console    http://127.0.0.1:9090/radstream/console"
    lines = said(console=ConsoleSettings(enabled=False))
    assert not [line for line in lines if line.startswith("console")]


def test_buckets_are_named_where_the_store_is_s3():
    lines = said(store=S3)
    assert "drop here  s3://images-1/images/ (its events come to /v1/events/s3)" in lines
    assert "results in s3://results-1/results/" in lines


def test_a_folder_that_is_not_watched_is_not_named():
    lines = said(dropfolder=DropFolderSettings(watch=False))
    assert not [line for line in lines if line.startswith("drop here")]


def test_senders_over_dicom_learn_where_to_send():
    assert "DICOM to   RADSTREAM at 127.0.0.1, port 11112" in said()
    off = said(dimse=DimseSettings(listen=False))
    assert not [line for line in off if line.startswith("DICOM")]


def test_the_example_has_a_key_where_callers_need_one(tmp_path):
    lines = said(access=AccessSettings(key_file=tmp_path / "keys.json"))
    assert lines[-1].startswith("Try: RADSTREAM_API_KEY=… radstream send ")


def test_the_example_trusts_the_certificate_that_is_served(tmp_path):
    files = {"tls_certificate": tmp_path / "my gateway.pem", "tls_key": tmp_path / "key.pem"}
    assert said("https://127.0.0.1:8443", http=HttpSettings(**files))[-1] == (
        "Try: RADSTREAM_HTTP__HOST=127.0.0.1 RADSTREAM_HTTP__PORT=8443 "
        f"RADSTREAM_HTTP__TLS_CERTIFICATE='{tmp_path}/my gateway.pem' radstream send "
        "tests/data/images/*.jpeg"
    )


def test_links_have_the_prefix_that_a_proxy_puts_there():
    lines = said(http=HttpSettings(path_prefix="/radstream"))
    assert "API docs   http://127.0.0.1:8080/radstream/docs" in lines
