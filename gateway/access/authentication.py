"""Authentication and authorization of requests, in one place for every way in."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gateway.access.callers import ANONYMOUS, Caller, CallerKind, Scope
from gateway.errors import (
    CredentialsAmbiguousError,
    CredentialsInvalidError,
    CredentialsMissingError,
    IssuerUnavailableError,
    Refusal,
    ScopeMissingError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.access.api_keys import KeyRing
    from gateway.access.identity_provider import IdentityProvider, Person, SignInAttempt
    from gateway.access.tokens import Tokens
    from gateway.observability.metrics import Metrics


class Authentication:
    """Authentication of callers by API key or token, whichever are set up.

    Parameters
    ----------
    metrics
        Counts who is refused, by reason.
    tokens
        None where no tokens are taken.
    provider
        None where people do not sign in with it.

    Attributes
    ----------
    keys : KeyRing or None
        The keys of this moment; None where none are taken.
    provider : IdentityProvider or None
        The provider that people sign in with.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        keys: KeyRing | None = None,
        tokens: Tokens | None = None,
        provider: IdentityProvider | None = None,
    ) -> None:
        self._metrics = metrics
        self._tokens = tokens
        self.keys = keys
        self.provider = provider

    @property
    def is_asked(self) -> bool:
        """Return True if callers must authenticate."""
        return self.keys is not None or self._tokens is not None

    async def caller(self, api_keys: Sequence[str], authorizations: Sequence[str]) -> Caller:
        """Return the caller that the request's one credential proves.

        Parameters
        ----------
        api_keys, authorizations
            The values of all the request's X-API-Key and Authorization headers.

        Raises
        ------
        CredentialsMissingError, CredentialsAmbiguousError, CredentialsInvalidError
        IssuerUnavailableError
        """
        if not self.is_asked:
            return ANONYMOUS
        with self._counted():
            return await self._caller(api_keys, authorizations)

    def session_holder(self, key_id: str | None) -> Caller:
        """Return the caller who signed in with the key of this id, which must still be valid.

        Parameters
        ----------
        key_id
            From the session; None where the session has ended.

        Raises
        ------
        CredentialsInvalidError
        """
        with self._counted():
            if key_id is None:
                raise CredentialsInvalidError(Refusal.EXPIRED_SESSION)
            if self.keys is None:
                raise CredentialsInvalidError(Refusal.NOT_TAKEN)
            return self.keys.holder(key_id, dt.datetime.now(dt.UTC))

    async def person(self, attempt: SignInAttempt | None, answer: Mapping[str, str]) -> Person:
        """Return the person whom the provider has signed in; see `IdentityProvider.person`.

        Parameters
        ----------
        attempt
            None where the browser has begun none, or too long ago.

        Raises
        ------
        CredentialsInvalidError, IssuerUnavailableError
        """
        with self._counted():
            if self.provider is None:
                raise CredentialsInvalidError(Refusal.NOT_TAKEN)
            if attempt is None:
                raise CredentialsInvalidError(Refusal.STALE_SIGN_IN)
            return await self.provider.person(attempt, answer)

    def person_signed_in(self, person: Person) -> Caller:
        """Return the caller who signed in with the provider, which is asked again in time.

        Raises
        ------
        CredentialsInvalidError
        """
        with self._counted():
            if self.provider is None:
                raise CredentialsInvalidError(Refusal.NOT_TAKEN)
            if person.ends_at <= time.time():
                raise CredentialsInvalidError(Refusal.EXPIRED_SESSION)
            return Caller(person.subject, frozenset(person.scopes), CallerKind.TOKEN)

    def check_scope(self, caller: Caller, scope: Scope) -> None:
        """Let the caller pass who has the scope.

        Raises
        ------
        ScopeMissingError
        """
        if scope not in caller.scopes:
            self._count("scope")
            raise ScopeMissingError(scope)

    async def _caller(self, api_keys: Sequence[str], authorizations: Sequence[str]) -> Caller:
        match [*api_keys], [*authorizations]:
            case [], []:
                raise CredentialsMissingError
            case [key], []:
                if self.keys is None:
                    raise CredentialsInvalidError(Refusal.NOT_TAKEN)
                return self.keys.caller(key, dt.datetime.now(dt.UTC))
            case [], [authorization]:
                return await self._bearer(authorization)
        raise CredentialsAmbiguousError

    async def _bearer(self, authorization: str) -> Caller:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise CredentialsInvalidError(Refusal.MALFORMED)
        if self._tokens is None:
            raise CredentialsInvalidError(Refusal.NOT_TAKEN)
        return await self._tokens.caller(token.strip())

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except CredentialsMissingError:
            self._count("missing")
            raise
        except CredentialsAmbiguousError:
            self._count("ambiguous")
            raise
        except CredentialsInvalidError as error:
            self._count(error.refusal.name.lower())
            raise
        except IssuerUnavailableError:
            self._count("issuer_unavailable")
            raise

    def _count(self, reason: str) -> None:
        self._metrics.access.failures.labels(reason).inc()
