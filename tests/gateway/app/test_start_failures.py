"""A gateway that does not start says in a sentence why, and what to do."""

import socket
from pathlib import Path

import pytest

from gateway.access.key_file import KeyFileError
from gateway.app.start_failures import logged, told
from gateway.dropfolder.watched_folder.folder import WatchedFolderError
from gateway.errors import StoreUnavailableError
from gateway.routing.document import RoutingFileError
from gateway.settings import AccessSettings, RoutingSettings, Settings, StoreSettings

FOLDER = Settings(store=StoreSettings(folder=Path("/srv/store")))
BUCKETS = Settings(store=StoreSettings(kind="s3", results_bucket="results", images_bucket="images"))
KEYS = Settings(access=AccessSettings(key_file=Path("/etc/keys.json")))
ROUTING = Settings(routing=RoutingSettings(file=Path("/etc/routing.json")))
STORED = Settings(routing=RoutingSettings(stored=True))


@pytest.mark.parametrize(
    ("error", "settings", "words"),
    [
        (StoreUnavailableError("Read-only file system"), FOLDER, "/srv/store cannot be written"),
        (StoreUnavailableError("NoSuchBucket"), BUCKETS, "buckets results and images cannot"),
        (KeyFileError("it is not JSON"), KEYS, "/etc/keys.json cannot be used: it is not JSON"),
        (RoutingFileError("/rules: no"), ROUTING, "/etc/routing.json cannot be used: /rules: no"),
        (RoutingFileError("no"), STORED, "document routing/document.json cannot be used: no"),
        (OSError(13, "Permission denied", "/x"), FOLDER, "/x cannot be used: Permission denied"),
        (WatchedFolderError("the drop folder /x cannot be made"), FOLDER, "drop folder /x cannot"),
    ],
)
def test_the_place_and_the_reason_are_named(error: Exception, settings: Settings, words: str):
    assert words in told(error, settings)


def test_a_store_that_cannot_be_written_is_told_with_its_setting():
    assert "RADSTREAM_STORE__FOLDER" in told(StoreUnavailableError("x"), FOLDER)


def test_words_of_an_unexpected_error_stay_in_the_log():
    sentence = told(ValueError("MUSTERMANN"), FOLDER)
    assert "ValueError" in sentence
    assert "MUSTERMANN" not in sentence


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        (
            OSError(30, "Read-only file system", "/x"),
            {"error": "OSError", "reason": "Read-only file system"},
        ),
        (KeyFileError("it is not JSON"), {"error": "KeyFileError", "reason": "it is not JSON"}),
        (
            StoreUnavailableError("NoSuchBucket"),
            {"error": "StoreUnavailableError", "reason": "NoSuchBucket"},
        ),
    ],
)
def test_log_has_the_reason_of_a_known_fault_and_no_traceback(
    error: Exception, fields: dict[str, str]
):
    assert logged(error) == fields


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        socket.gaierror(-2, "Name or service not known"),
        OSError(28, "No space left on device"),
    ],
)
def test_log_has_the_place_of_an_unexpected_error(error: Exception):
    assert "the log has the place" in told(error, FOLDER)
    assert logged(error) == {"exc_info": error}
