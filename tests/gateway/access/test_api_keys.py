"""A key is known by its hash alone, and by nothing less than the whole of it."""

import datetime as dt
import json
import re

import pytest

from gateway.access.api_keys import (
    KeyDocument,
    KeyEntry,
    KeyFileError,
    KeyRing,
    make_key,
    parse,
)
from gateway.access.callers import CallerKind, Scope
from gateway.errors import CredentialsInvalidError, Refusal

NOW = dt.datetime(2026, 1, 31, 8, 15, tzinfo=dt.UTC)
SCOPES = frozenset({Scope.STUDIES_READ, Scope.OPERATE})


@pytest.fixture(name="made")
def a_key() -> tuple[str, KeyEntry]:
    return make_key("viewer 1", SCOPES, now=NOW, expires_at=NOW + dt.timedelta(days=1))


def refusal(ring: KeyRing, key: str, now: dt.datetime = NOW) -> Refusal:
    with pytest.raises(CredentialsInvalidError) as caught:
        ring.caller(key, now)
    return caught.value.refusal


def test_a_key_can_be_told_from_any_other_text():
    key, entry = make_key("viewer", SCOPES, now=NOW, expires_at=None)
    assert re.fullmatch(r"radstream_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}", key)
    assert key.split("_")[1] == entry.id
    assert len({make_key("viewer", SCOPES, now=NOW, expires_at=None)[0] for _ in range(50)}) == 50


def test_its_holder_is_known_by_it(made: tuple[str, KeyEntry]):
    key, entry = made
    caller = KeyRing(KeyDocument(keys=(entry,))).caller(key, NOW)
    assert (caller.name, caller.scopes, caller.kind) == ("viewer 1", SCOPES, CallerKind.KEY)


def test_what_is_kept_does_not_tell_the_key(made: tuple[str, KeyEntry]):
    key, entry = made
    kept = KeyDocument(keys=(entry,)).model_dump_json()
    secret = key.split("_")[2]
    assert not any(secret[start : start + 8] in kept for start in range(len(secret) - 8))
    assert parse(kept.encode()) == KeyDocument(keys=(entry,))


def test_every_other_key_is_refused_alike(made: tuple[str, KeyEntry]):
    _, entry = made
    stranger, _ = make_key("viewer 1", SCOPES, now=NOW, expires_at=None)
    ring = KeyRing(KeyDocument(keys=(entry,)))
    assert refusal(ring, stranger) is Refusal.UNKNOWN_KEY  # no such id
    assert refusal(KeyRing(KeyDocument()), stranger) is Refusal.UNKNOWN_KEY
    # The right id with another's hash: the id alone proves nothing.
    swapped = entry.model_copy(update={"id": stranger.split("_")[1]})
    assert refusal(KeyRing(KeyDocument(keys=(swapped,))), stranger) is Refusal.UNKNOWN_KEY


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[:-1],
        lambda key: key + "0",
        str.upper,
        lambda _: "",
        lambda key: key.replace("radstream", "github"),
        lambda key: key[:25] + "é" + key[26:],
    ],
)
def test_what_is_no_key_is_told_so(change, made: tuple[str, KeyEntry]):
    key, entry = made
    assert refusal(KeyRing(KeyDocument(keys=(entry,))), change(key)) is Refusal.MALFORMED


def test_every_single_typing_error_shows_in_the_checksum(made: tuple[str, KeyEntry]):
    key, entry = made
    ring = KeyRing(KeyDocument(keys=(entry,)))
    for place in range(len("radstream_"), len(key)):
        if key[place] != "_":
            typo = key[:place] + ("A" if key[place] != "A" else "B") + key[place + 1 :]
            assert refusal(ring, typo) is Refusal.MALFORMED


def test_a_key_ends_when_it_says(made: tuple[str, KeyEntry]):
    key, entry = made
    ring = KeyRing(KeyDocument(keys=(entry,)))
    end = NOW + dt.timedelta(days=1)
    assert ring.caller(key, end - dt.timedelta(seconds=1)).name == "viewer 1"
    assert refusal(ring, key, end) is Refusal.EXPIRED_KEY
    assert ring.expiries() == {entry.id: end}


def test_two_keys_of_one_name_work_while_they_are_changed():
    old, old_entry = make_key("ct", SCOPES, now=NOW, expires_at=None)
    new, new_entry = make_key("ct", SCOPES, now=NOW, expires_at=None)
    ring = KeyRing(KeyDocument(keys=(old_entry, new_entry)))
    assert ring.caller(old, NOW) == ring.caller(new, NOW)
    assert refusal(KeyRing(KeyDocument(keys=(new_entry,))), old) is Refusal.UNKNOWN_KEY


@pytest.mark.parametrize(
    "spoil",
    [
        lambda document: document | {"more": 1},
        lambda document: {"keys": document["keys"] * 2},
        lambda document: {"keys": [document["keys"][0] | {"scopes": ["everything"]}]},
        lambda document: {"keys": [document["keys"][0] | {"scopes": []}]},
        lambda document: {"keys": [document["keys"][0] | {"sha256": "secret"}]},
        lambda document: {"keys": [document["keys"][0] | {"expires_at": "2026-01-31T08:15:00"}]},
        lambda _: [],
    ],
)
def test_a_broken_document_is_refused_without_being_quoted(spoil, made: tuple[str, KeyEntry]):
    _, entry = made
    document = json.loads(KeyDocument(keys=(entry,)).model_dump_json())
    with pytest.raises(KeyFileError) as caught:
        parse(json.dumps(spoil(document)).encode())
    assert "secret" not in str(caught.value)
    assert entry.sha256 not in str(caught.value)
    with pytest.raises(KeyFileError):
        parse(json.dumps(document).encode()[:-1])
