"""One credential proves a caller; each refusal has a reason that is counted."""

import time
from dataclasses import replace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from gateway.access.authentication import Authentication
from gateway.access.callers import ANONYMOUS, Caller, CallerKind, Scope
from gateway.access.identity_provider import Person
from gateway.errors import (
    CredentialsAmbiguousError,
    CredentialsInvalidError,
    CredentialsMissingError,
    IssuerUnavailableError,
    RadStreamError,
    Refusal,
    ScopeMissingError,
)
from gateway.observability.metrics import Metrics

CALLER = Caller("ris", frozenset({Scope.STUDIES_READ}), CallerKind.KEY)


class Taken:
    """Takes every key and token, or raises what it was given."""

    def __init__(self, error: RadStreamError | None = None) -> None:
        self.error = error
        self.shown: list[str] = []

    async def caller(self, token: str) -> Caller:
        self.shown.append(token)
        if self.error is not None:
            raise self.error
        return CALLER


def asked(tokens: Taken) -> tuple[Authentication, Metrics]:
    metrics = Metrics(CollectorRegistry())
    return Authentication(metrics, tokens=cast("Any", tokens)), metrics


def counted(metrics: Metrics, reason: str) -> float | None:
    name = "radstream_auth_failures_total"
    return metrics.registry.get_sample_value(name, {"reason": reason})


async def test_without_keys_and_tokens_nobody_is_asked():
    authentication = Authentication(Metrics(CollectorRegistry()))
    assert not authentication.is_asked
    assert await authentication.caller(["anything"], []) is ANONYMOUS


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_a_token_is_taken_whatever_the_case_of_its_scheme(scheme: str):
    tokens = Taken()
    authentication, _ = asked(tokens)
    assert await authentication.caller([], [f"{scheme}  abc "]) == CALLER
    assert tokens.shown == ["abc"]


@pytest.mark.parametrize(
    ("keys", "authorizations", "error", "reason"),
    [
        ([], [], CredentialsMissingError, "missing"),
        (["k"], ["Bearer t"], CredentialsAmbiguousError, "ambiguous"),
        (["k", "k"], [], CredentialsAmbiguousError, "ambiguous"),
        ([], ["Bearer t", "Bearer t"], CredentialsAmbiguousError, "ambiguous"),
        ([], ["Basic dXNlcg=="], CredentialsInvalidError, "malformed"),
        (["k"], [], CredentialsInvalidError, "not_taken"),
    ],
)
async def test_a_refusal_is_counted_by_its_reason(
    keys: list[str], authorizations: list[str], error: type[RadStreamError], reason: str
):
    authentication, metrics = asked(Taken())
    with pytest.raises(error):
        await authentication.caller(keys, authorizations)
    assert counted(metrics, reason) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (CredentialsInvalidError(Refusal.EXPIRED_TOKEN), "expired_token"),
        (IssuerUnavailableError("it answers 500"), "issuer_unavailable"),
    ],
)
async def test_what_tokens_refuse_is_counted_and_passed_on(error: RadStreamError, reason: str):
    authentication, metrics = asked(Taken(error))
    with pytest.raises(type(error)):
        await authentication.caller([], ["Bearer t"])
    assert counted(metrics, reason) == 1


def test_a_scope_that_is_not_granted_is_refused():
    authentication, metrics = asked(Taken())
    authentication.check_scope(CALLER, Scope.STUDIES_READ)
    with pytest.raises(ScopeMissingError):
        authentication.check_scope(CALLER, Scope.OPERATE)
    assert counted(metrics, "scope") == 1


async def test_a_person_is_asked_for_again_in_time_and_only_where_there_is_a_provider():
    metrics = Metrics(CollectorRegistry())
    person = Person("reader-7", (Scope.STUDIES_READ,), time.time() + 60)
    with pytest.raises(CredentialsInvalidError) as caught:
        Authentication(metrics).person_signed_in(person)
    assert caught.value.refusal is Refusal.NOT_TAKEN
    authentication = Authentication(metrics, provider=cast("Any", object()))
    caller = authentication.person_signed_in(person)
    assert caller == Caller("reader-7", frozenset({Scope.STUDIES_READ}), CallerKind.TOKEN)
    with pytest.raises(CredentialsInvalidError) as caught:
        authentication.person_signed_in(replace(person, ends_at=time.time() - 1))
    assert caught.value.refusal is Refusal.EXPIRED_SESSION
    with pytest.raises(CredentialsInvalidError) as caught:
        await authentication.person(None, {})
    assert caught.value.refusal is Refusal.STALE_SIGN_IN
    assert counted(metrics, "stale_sign_in") == 1
