"""OpenID Connect and OAuth 2.0 access tokens as JWTs (RFC 7519, RFC 9068): who their bearer is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError, MissingClaimError

from gateway.errors import CredentialsInvalidError, Refusal
from gateway.services.callers import Caller, CallerKind, Scope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.services.issuer_keys import IssuerKeys, PublicKey

# Signatures that a public key checks, so that what checks tokens can make none (RFC 8725,
# section 3.1): no `none`, no HMAC.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
)
_MOST_BYTES = 16 * 2**10
_LONGEST_SUBJECT = 256
_TIMES = {"exp", "nbf", "iat"}


class Tokens:
    """Knows callers by their tokens.

    Parameters
    ----------
    keys
        The issuer's.
    issuer, audience
        What `iss` must be and `aud` must name.
    scope_prefix
        What stands before a scope's name in a token.
    leeway_s
        Seconds that the issuer's clock may differ.
    """

    def __init__(
        self, keys: IssuerKeys, *, issuer: str, audience: str, scope_prefix: str, leeway_s: int
    ) -> None:
        self._keys = keys
        self._scope_prefix = scope_prefix
        self._claims = jwt.JWTClaimsRegistry(
            leeway=leeway_s,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )

    async def caller(self, token: str) -> Caller:
        """Whose token this is.

        Raises
        ------
        CredentialsInvalidError
        IssuerUnavailableError
        """
        header = _header(token)
        key = await self._keys.find(header.get("kid"))
        claims = _proven_claims(token, header, key)
        self._check(claims)
        return Caller(claims["sub"], frozenset(self._scopes(claims)), CallerKind.TOKEN)

    def _check(self, claims: dict[str, Any]) -> None:
        """Hold the claims to the clock, the issuer and the audience."""
        try:
            self._claims.validate(claims)
        except MissingClaimError as error:
            raise CredentialsInvalidError(Refusal.FOREIGN_TOKEN) from error
        except ClaimError as error:
            is_late = error.claim in _TIMES
            raise CredentialsInvalidError(
                Refusal.EXPIRED_TOKEN if is_late else Refusal.FOREIGN_TOKEN
            ) from error
        subject = claims["sub"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= _LONGEST_SUBJECT:
            raise CredentialsInvalidError(Refusal.FOREIGN_TOKEN)

    def _scopes(self, claims: Mapping[str, Any]) -> Iterator[Scope]:
        """The scopes granted, by either name that issuers give the claim; others are not ours."""
        known = {self._scope_prefix + scope: scope for scope in Scope}
        for name in ("scope", "scp"):
            granted = claims.get(name, ())
            names = granted.split() if isinstance(granted, str) else granted
            if isinstance(names, list | tuple):
                yield from (
                    known[item] for item in names if isinstance(item, str) and item in known
                )


def _header(token: str) -> dict[str, Any]:
    if len(token) > _MOST_BYTES:
        raise CredentialsInvalidError(Refusal.MALFORMED)
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, RecursionError) as error:
        raise CredentialsInvalidError(Refusal.MALFORMED) from error
    if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str | None):
        raise CredentialsInvalidError(Refusal.BAD_TOKEN)
    return header


def _proven_claims(token: str, header: Mapping[str, Any], key: PublicKey) -> dict[str, Any]:
    if key.get("alg") not in {None, header["alg"]}:
        raise CredentialsInvalidError(Refusal.BAD_TOKEN)
    try:
        return jwt.decode(token, key, algorithms=ALGORITHMS).claims
    except (JoseError, ValueError, TypeError, RecursionError) as error:  # TypeError: odd `crit`
        raise CredentialsInvalidError(Refusal.BAD_TOKEN) from error
