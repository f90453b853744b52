"""An issuer's signing keys: kept, and fetched anew when none of them can have signed a token."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from gateway.access.discovery import KEPT_S
from gateway.errors import CredentialsInvalidError, IssuerUnavailableError, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.observability.metrics import Metrics

log = structlog.get_logger()

PublicKey = RSAKey | ECKey | OKPKey
T = TypeVar("T")

# A made-up key id costs the issuer no more than one question in so many seconds.
_PATIENCE_S = 10.0
# Digits of a 2048-bit modulus in base64url; shorter keys must not be used (RFC 7518, section 3.3).
_LEAST_MODULUS = 342
# Keys that a token without a key id is tried with; providers publish two to ten.
_MOST_TRIED = 32
_CURVES = {
    "ES256": {"P-256"},
    "ES384": {"P-384"},
    "ES512": {"P-521"},
    "Ed25519": {"Ed25519"},
    "EdDSA": {"Ed25519", "Ed448"},
}
# Two names of one algorithm, by RFC 8037 and RFC 9864: a key of one signs tokens of the other.
_EDWARDS = {"EdDSA", "Ed25519"}


class KeySetSource(Protocol):
    """A source of an issuer's signing keys."""

    async def fetch(self) -> bytes:
        """Return the JWK Set of the address, of at most 1 MiB.

        Raises
        ------
        IssuerUnavailableError
        """
        ...


class IssuerKeys:
    """The keys with their ids. While the issuer is away those that were fetched go on working.

    Parameters
    ----------
    source
        Fetches them.
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
        self._keys: tuple[tuple[str | None, PublicKey], ...] = ()
        self._fetching = asyncio.Lock()
        self._fetched_at: float | None = None
        self._is_away = False

    async def proven(
        self, key_id: str | None, algorithm: str, proof: Callable[[PublicKey], T | None]
    ) -> T:
        """Return what the proof gives with the first key that it holds for.

        Parameters
        ----------
        key_id
            Of the key; without one every key that fits the algorithm is tried, up to 32.
        algorithm
            The signature algorithm of the key.
        proof
            Gives None where a key is not the one.

        Raises
        ------
        CredentialsInvalidError
            The issuer has no such key.
        IssuerUnavailableError
            The issuer may have it, and does not answer.
        """
        tried = self._keys
        found = self._first(key_id, algorithm, proof)
        if found is None and self._may_be_new(key_id):
            async with self._fetching:  # whoever waited here finds what the first one fetched
                if self._keys is tried and self._may_fetch():
                    await self._fetch()
                if self._keys is not tried:
                    found = self._first(key_id, algorithm, proof)
        if found is not None:
            return found
        if self._is_away and self._may_be_new(key_id):
            raise IssuerUnavailableError("the last fetch failed")
        raise CredentialsInvalidError(Refusal.BAD_TOKEN)

    async def refresh_for_ever(self) -> NoReturn:
        """Fetch the keys now and again, though nothing asks for them."""
        while True:
            async with self._fetching:
                await self._fetch()
            await asyncio.sleep(KEPT_S)

    def _first(
        self, key_id: str | None, algorithm: str, proof: Callable[[PublicKey], T | None]
    ) -> T | None:
        fitting = (
            key
            for known_id, key in self._keys
            if key_id in {None, known_id} and _fits(key, algorithm)
        )
        results = map(proof, islice(fitting, _MOST_TRIED))
        return next((result for result in results if result is not None), None)

    def _may_be_new(self, key_id: str | None) -> bool:
        """Return True if the issuer may have published such a key since the last fetch."""
        return key_id is None or all(key_id != known_id for known_id, _ in self._keys)

    def _may_fetch(self) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at >= _PATIENCE_S

    async def _fetch(self) -> None:
        try:
            keys = tuple(usable_keys(await self._source.fetch()))
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


def usable_keys(document: bytes) -> Iterator[tuple[str | None, PublicKey]]:
    """Yield the document's public keys for signatures, by id; what else is in it is passed over."""
    try:
        found = json.loads(document)["keys"]
        entries = [entry for entry in found if isinstance(entry, dict)]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise IssuerUnavailableError("its key set cannot be read") from error
    for entry in entries:
        key_id = entry.get("kid")
        names = (key_id, entry.get("alg"))
        if not _may_verify(entry) or not all(isinstance(name, str | None) for name in names):
            continue
        key = _imported(entry)
        if key is not None:
            yield key_id, key


def _may_verify(entry: dict[str, Any]) -> bool:
    """Return True if the entry's `use` and `key_ops`, where present, allow verifying signatures."""
    operations = entry.get("key_ops", ["verify"])
    return (
        entry.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and ("verify" in operations)
    )


def _fits(key: PublicKey, algorithm: str) -> bool:
    """Return True if the key has the algorithm's type and curve, and is for no other one."""
    if key.get("alg") not in {None, algorithm}:
        return False
    if isinstance(key, RSAKey):
        return algorithm.startswith(("RS", "PS"))
    return key.curve_name in _CURVES.get(algorithm, ())


def _imported(entry: dict[str, Any]) -> PublicKey | None:
    """Return the key; None for a secret one, a weak one and one of a kind that is not known."""
    try:
        if entry.get("kty") == "RSA" and len(str(entry.get("n"))) < _LEAST_MODULUS:
            return None
        if entry.get("crv") == "Ed25519" and entry.get("alg") in _EDWARDS:
            entry = {name: value for name, value in entry.items() if name != "alg"}
        key = JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):  # KeyError: a curve that is not known
        return None
    return key if isinstance(key, RSAKey | ECKey | OKPKey) else None
