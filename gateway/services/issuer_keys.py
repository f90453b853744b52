"""An issuer's signing keys: kept, and fetched anew when a token names one that is not known."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from gateway.errors import CredentialsInvalidError, IssuerUnavailableError, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.clients.protocols import KeySetSource
    from gateway.metrics import Metrics

log = structlog.get_logger()

PublicKey = RSAKey | ECKey | OKPKey

# How often they are fetched though nothing asks for it: a key the issuer withdrew ends by then.
_EVERY_S = 300.0
# A made-up key id costs the issuer no more than one question in so many seconds.
_PATIENCE_S = 10.0
# Digits of a 2048-bit modulus in base64url; shorter keys must not be used (RFC 7518, section 3.3).
_LEAST_MODULUS = 342


class IssuerKeys:
    """The keys by their ids. While the issuer is away those that were fetched go on working.

    Parameters
    ----------
    source
        Where they are fetched.
    metrics
        Counts the fetches.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        source: KeySetSource,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._metrics = metrics
        self._clock = clock
        self._keys: dict[str | None, PublicKey] = {}
        self._fetching = asyncio.Lock()
        self._fetched_at: float | None = None
        self._is_away = False

    async def find(self, key_id: str | None) -> PublicKey:
        """The key of this id; a token without an id means the only key there is.

        Raises
        ------
        CredentialsInvalidError
            The issuer has no such key.
        IssuerUnavailableError
            The issuer may have it, and does not answer.
        """
        key = self._find(key_id)
        if key is None:
            async with self._fetching:  # whoever waited here finds what the first one fetched
                key = self._find(key_id)
                if key is None and self._may_fetch():
                    await self._fetch()
                    key = self._find(key_id)
        if key is not None:
            return key
        if self._is_away:
            raise IssuerUnavailableError("the last fetch failed")
        raise CredentialsInvalidError(Refusal.BAD_TOKEN)

    async def refresh_for_ever(self) -> NoReturn:
        """Fetch the keys now and again."""
        while True:
            async with self._fetching:
                await self._fetch()
            await asyncio.sleep(_EVERY_S)

    def _find(self, key_id: str | None) -> PublicKey | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return None if key_id is None else self._keys.get(key_id)

    def _may_fetch(self) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at >= _PATIENCE_S

    async def _fetch(self) -> None:
        try:
            keys = dict(_usable_keys(await self._source.fetch()))
            if not keys:
                raise IssuerUnavailableError("its key set has no key that may sign")  # noqa: TRY301 - one end for all faults
        except IssuerUnavailableError as error:
            self._is_away = True
            self._metrics.access.issuer_fetches.labels("failed").inc()
            log.warning("access.issuer_away", reason=error.reason, keys_kept=len(self._keys))
        else:
            self._is_away = False
            self._keys = keys
            self._metrics.access.issuer_fetches.labels("succeeded").inc()
        self._fetched_at = self._clock()


def _usable_keys(document: bytes) -> Iterator[tuple[str | None, PublicKey]]:
    """The document's public keys for signatures, by id; what else is in it is passed over."""
    try:
        found = json.loads(document)["keys"]
        entries = [entry for entry in found if isinstance(entry, dict)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise IssuerUnavailableError("its key set cannot be read") from error
    for entry in entries:
        key_id = entry.get("kid")
        if entry.get("use", "sig") != "sig" or not isinstance(key_id, str | None):
            continue
        key = _imported(entry)
        if key is not None:
            yield key_id, key


def _imported(entry: dict[str, Any]) -> PublicKey | None:
    """The key; None for a secret one, a weak one and one of a kind that is not known."""
    try:
        if entry.get("kty") == "RSA" and len(str(entry.get("n"))) < _LEAST_MODULUS:
            return None
        key = JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):  # KeyError: a curve that is not known
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None
