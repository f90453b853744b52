"""Sessions stand in an encrypted cookie that ends after eight hours."""

import time

import pytest
from cryptography.fernet import Fernet

from gateway.access.callers import Scope
from gateway.access.identity_provider import Person, SignInAttempt
from gateway.console.sessions import LIFETIME_S, Session, Sessions

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_a_session_is_read_back_and_not_legible():
    sessions = Sessions()
    session = Session("0123456789")
    cookie = sessions.seal(session)
    assert sessions.open(cookie) == session
    assert session.key_id not in cookie


def test_every_session_has_a_token_of_its_own():
    assert Session("0123456789").csrf != Session("0123456789").csrf


@pytest.mark.parametrize("cookie", ["", "x", "gAAAAA", "ä"])
def test_what_was_not_made_here_is_no_session(cookie: str):
    assert Sessions().open(cookie) is None
    assert Sessions().open(Sessions().seal(Session("0123456789"))) is None


def test_the_first_key_writes_and_all_read():
    cookie = Sessions([OLD]).seal(Session("0123456789"))
    assert Sessions([NEW, OLD]).open(cookie) is not None
    assert Sessions([OLD]).open(Sessions([NEW, OLD]).seal(Session("0123456789"))) is None


def test_a_session_ends():
    ago = Fernet(OLD).encrypt_at_time(
        b'{"key_id": "0123456789", "csrf": "x"}', int(time.time()) - LIFETIME_S - 1
    )
    assert Sessions([OLD]).open(ago.decode()) is None


def test_a_sealed_document_that_is_no_session_is_none():
    assert Sessions([OLD]).open(Fernet(OLD).encrypt(b'{"user": 1}').decode()) is None


def test_a_person_and_an_attempt_are_kept_as_they_were():
    sessions = Sessions()
    session = Session(person=Person("reader-7", (Scope.STUDIES_READ,), 1.5))
    assert sessions.open(sessions.seal(session)) == session
    attempt = SignInAttempt("/console/studies")
    sealed = sessions.seal_attempt(attempt)
    assert attempt.verifier not in sealed
    assert sessions.open_attempt(sealed) == attempt
    assert sessions.open_attempt(sessions.seal(session)) is None
    assert Sessions().open_attempt(sealed) is None
