"""OpenID Connect and OAuth 2.0 access tokens as JWTs (RFC 7519, RFC 9068): who their bearer is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError, MissingClaimError, UnsupportedAlgorithmError

from gateway.access.callers import Caller, CallerKind, Scope
from gateway.errors import CredentialsInvalidError, Refusal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from joserfc.jwa import JWSAlgModel

    from gateway.access.issuer_keys import IssuerKeys, PublicKey

# Signatures that a public key checks, so that what checks tokens can make none (RFC 8725,
# section 3.1): no `none`, no HMAC.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
)
_MOST_BYTES = 16 * 2**10
_LONGEST_SUBJECT = 256
_TIMES = {"exp", "nbf", "iat"}
# What only a token of a user has: scopes that a client may use in the user's name, or an ID
# token's own claims (OpenID Connect Core 1.0, sections 2 and 3.3.2.11).
_OF_A_USER = ("scp", "scope", "nonce", "at_hash", "c_hash")


class _Algorithms(jws.JWSRegistry):
    """The algorithms, without the library's warning of the name `EdDSA`, which issuers do write."""

    def get_alg(self, name: str) -> JWSAlgModel:
        """Return the algorithm of this name, if it is one that is taken."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_ALGORITHMS = _Algorithms()


class Tokens:
    """Authenticator of callers by their access tokens.

    Parameters
    ----------
    keys
        The issuer's.
    issuer, audience
        Values of `iss` and `aud`; a token with `aud` is not taken without an audience.
    client_ids
        Clients whose access tokens are taken without `aud`.
    scope_prefix
        Prefix of a scope's name in a token.
    leeway_s
        Seconds that the issuer's clock may differ.
    """

    def __init__(
        self,
        keys: IssuerKeys,
        *,
        issuer: str,
        audience: str | None,
        client_ids: Collection[str] = (),
        scope_prefix: str,
        leeway_s: int,
    ) -> None:
        self._keys = keys
        self._audience = audience
        self._client_ids = frozenset(client_ids)
        self._scope_prefix = scope_prefix
        self._claims = jwt.JWTClaimsRegistry(
            leeway=leeway_s,
            iss={"essential": True, "value": issuer},
            exp={"essential": True},
            sub={"essential": True},
        )

    async def caller(self, token: str) -> Caller:
        """Return the caller who bears this token.

        Raises
        ------
        CredentialsInvalidError
        IssuerUnavailableError
        """
        claims = await self._proven(token)
        if not self._is_for_here(claims):
            raise CredentialsInvalidError(Refusal.FOREIGN_TOKEN)
        return Caller(claims["sub"], frozenset(self._scopes(claims)), CallerKind.TOKEN)

    async def subject(self, id_token: str, *, client_id: str, nonce: str) -> str:
        """Return the person whom an ID token for a client and one sign-in is about.

        Raises
        ------
        CredentialsInvalidError
        IssuerUnavailableError
        """
        claims = await self._proven(id_token)
        audience, party = claims.get("aud"), claims.get("azp", client_id)
        named = audience if isinstance(audience, list) else [audience]
        # OpenID Connect Core 1.0, 3.1.3.7, steps 3 to 5 and 11.
        if client_id not in named or party != client_id or claims.get("nonce") != nonce:
            raise CredentialsInvalidError(Refusal.FOREIGN_TOKEN)
        subject: str = claims["sub"]
        return subject

    async def _proven(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that its issuer signed, for now."""
        header = _header(token)
        claims = await self._keys.proven(
            header.get("kid"), header["alg"], lambda key: _claims(token, key)
        )
        self._check(claims)
        return claims

    def _check(self, claims: dict[str, Any]) -> None:
        """Check the claims against the clock and the issuer."""
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

    def _is_for_here(self, claims: Mapping[str, Any]) -> bool:
        """Return True if it is an access token for this audience, or of a client in the settings.

        Amazon Cognito's access tokens have no `aud`; `token_use` tells them from its ID tokens,
        whose `aud` is the client.
        """
        if claims.get("token_use", "access") != "access":
            return False
        if "aud" not in claims:
            client = claims.get("client_id")
            return "token_use" in claims and isinstance(client, str) and client in self._client_ids
        audience = claims["aud"]
        named = audience if isinstance(audience, list) else [audience]
        return self._audience is not None and self._audience in named

    def _scopes(self, claims: Mapping[str, Any]) -> Iterator[Scope]:
        """Yield the scopes granted, by any name that issuers give the claim; pass over others."""
        known = {self._scope_prefix + scope: scope for scope in Scope}
        for name in ("scope", "scp", *(("roles",) if _is_of_an_application(claims) else ())):
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


def _claims(token: str, key: PublicKey) -> dict[str, Any] | None:
    """Return the token's claims, if this key signed it."""
    try:
        return jwt.decode(token, key, registry=_ALGORITHMS).claims
    except (JoseError, ValueError, TypeError, RecursionError):  # TypeError: odd `crit`
        return None


def _is_of_an_application(claims: Mapping[str, Any]) -> bool:
    """Return True if nothing in the token names a user.

    Microsoft Entra puts what an application was granted for itself (client credentials) into
    `roles`. The roles of a user stand there too: they would lend a client more than the user let
    it do, which `scp` says. In a token of an application `oid` is `sub`, and `idtyp` is `app`.
    """
    return (
        not any(name in claims for name in _OF_A_USER)
        and claims.get("idtyp", "app") == "app"
        and claims.get("oid", claims["sub"]) == claims["sub"]
    )
