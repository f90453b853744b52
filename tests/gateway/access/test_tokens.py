"""Tokens of a real issuer over HTTP, and those among them that are taken."""

import base64
import hmac
import json
import time
from typing import Any

import aiohttp
import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gateway.access.callers import CallerKind, Scope
from gateway.access.tokens import Tokens
from gateway.errors import Refusal
from tests.gateway.access.issuers import Clock, refusal, tokens_of
from tests.support.access import AUDIENCE, Issuer


@pytest.mark.parametrize("kind", ["EC", "RSA"])
async def test_the_bearer_is_the_subject_with_the_scopes_granted(
    kind: str, issuer: Issuer, tokens: Tokens
):
    issuer.rotate(kind)
    caller = await tokens.caller(issuer.token())
    assert (caller.name, caller.kind) == ("viewer-7", CallerKind.TOKEN)
    assert caller.scopes == {Scope.STUDIES_READ}
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "operate studies:write"}, {Scope.OPERATE, Scope.STUDIES_WRITE}),
        ({"scope": None, "scp": ["events:write", 7]}, {Scope.EVENTS_WRITE}),
        ({"scope": None, "scp": "events:write"}, {Scope.EVENTS_WRITE}),
        ({"scope": ["operate"]}, {Scope.OPERATE}),
        ({"scope": None}, set()),
        ({"scope": {"operate": True}}, set()),
        ({"scope": "studies:read-all STUDIES:READ radstream/studies:read"}, set()),
    ],
)
async def test_scopes_come_by_either_claim(
    claims: dict[str, Any], scopes: set[Scope], issuer: Issuer, tokens: Tokens
):
    assert (await tokens.caller(issuer.token(**claims))).scopes == scopes


async def test_scopes_may_stand_behind_a_resource_servers_name(
    issuer: Issuer, session: aiohttp.ClientSession, clock: Clock
):
    tokens = tokens_of(issuer, session, clock, scope_prefix="radstream/")
    caller = await tokens.caller(issuer.token(scope="radstream/studies:read operate"))
    assert caller.scopes == {Scope.STUDIES_READ}


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"exp": 1}, Refusal.EXPIRED_TOKEN),
        ({"exp": None}, Refusal.FOREIGN_TOKEN),
        ({"exp": "tomorrow"}, Refusal.EXPIRED_TOKEN),
        ({"nbf": 2**33}, Refusal.EXPIRED_TOKEN),
        ({"iat": 2**33}, Refusal.EXPIRED_TOKEN),
        ({"iss": "https://id.example.org"}, Refusal.FOREIGN_TOKEN),
        ({"iss": None}, Refusal.FOREIGN_TOKEN),
        ({"aud": "another"}, Refusal.FOREIGN_TOKEN),
        ({"aud": []}, Refusal.FOREIGN_TOKEN),
        ({"aud": None}, Refusal.FOREIGN_TOKEN),
        ({"sub": None}, Refusal.FOREIGN_TOKEN),
        ({"sub": ""}, Refusal.FOREIGN_TOKEN),
        ({"sub": 7}, Refusal.FOREIGN_TOKEN),
        ({"sub": "x" * 257}, Refusal.FOREIGN_TOKEN),
    ],
)
async def test_a_token_must_be_for_here_and_now(
    claims: dict[str, Any], expected: Refusal, issuer: Issuer, tokens: Tokens
):
    assert await refusal(tokens, issuer.token(**claims)) is expected


async def test_clocks_may_differ_by_the_leeway(issuer: Issuer, tokens: Tokens):
    now = int(time.time())
    for claims in ({"exp": now - 30}, {"nbf": now + 30}, {"aud": ["x", AUDIENCE]}):
        await tokens.caller(issuer.token(**claims))
    assert await refusal(tokens, issuer.token(exp=now - 90)) is Refusal.EXPIRED_TOKEN


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forged(issuer: Issuer) -> dict[str, str]:
    """Tokens that claim what they like."""
    own = issuer.signer
    body = issuer.token().split(".")[1]

    def unsigned(**header: Any) -> str:
        return f"{encoded(json.dumps(header).encode())}.{body}."

    def hmac_signed(**header: Any) -> str:
        # Algorithm confusion: the public key, which everybody has, as a secret.
        signed = unsigned(**header)[:-1]
        digest = hmac.digest(own.as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{encoded(digest)}"

    stranger = ECKey.generate_key("P-256", {"kid": own.kid})
    signature = issuer.token().split(".")[2]
    other = issuer.token(sub="somebody-else").rsplit(".", 1)[0]
    return {
        "another's key under the same id": issuer.token(signer=stranger),
        "no signature": unsigned(alg="none", kid=own.kid),
        "no signature, by another spelling": unsigned(alg="nOnE", kid=own.kid),
        "an HMAC with the public key": hmac_signed(alg="HS256", kid=own.kid),
        "an algorithm of another kind of key": issuer.token(
            signer=RSAKey.generate_key(2048, {"kid": own.kid})
        ),
        "another token's signature": f"{other}.{signature}",
        "no algorithm": unsigned(kid=own.kid),
        "an id that is no text": unsigned(alg="ES256", kid=["x"]),
        "an extension that is no text": unsigned(alg="ES256", kid=own.kid, crit=[{}]) + "AA",
    }


async def test_forged_tokens_are_refused(issuer: Issuer, tokens: Tokens):
    await tokens.caller(issuer.token())
    for how, token in forged(issuer).items():
        assert await refusal(tokens, token) in {Refusal.BAD_TOKEN, Refusal.MALFORMED}, how


@pytest.mark.parametrize(
    "token", ["", "a", "a.b", "a.b.c", "a.b.c.d.e", "é.é.é", ". .", "x" * 2**17]
)
async def test_what_is_no_token_is_told_so(token: str, tokens: Tokens, issuer: Issuer):
    assert await refusal(tokens, token) is Refusal.MALFORMED
    assert issuer.asked == []


async def test_forged_tokens_without_a_key_id_are_refused(issuer: Issuer, tokens: Tokens):
    issuer.rotate("RSA")
    issuer.rotate("EC")
    body = issuer.token().split(".")[1]
    for name, key in [("RS256", issuer.keys[1]), ("ES256", issuer.keys[2])]:
        public = key.as_pem(private=False)
        for header in ({"alg": "HS256"}, {"alg": "none"}, {"alg": name}):
            signed = f"{encoded(json.dumps(header).encode())}.{body}"
            digest = hmac.digest(public, signed.encode(), "sha256")
            for signature in ("", encoded(digest), encoded(bytes(64)), encoded(bytes(256))):
                assert await refusal(tokens, f"{signed}.{signature}") in {
                    Refusal.BAD_TOKEN,
                    Refusal.MALFORMED,
                }


@pytest.mark.parametrize(
    ("curve", "algorithm", "named"),
    [
        ("Ed25519", "EdDSA", None),
        ("Ed25519", "Ed25519", None),
        ("Ed25519", "EdDSA", "EdDSA"),
        ("Ed25519", "EdDSA", "Ed25519"),
        ("Ed25519", "Ed25519", "EdDSA"),
        ("Ed448", "EdDSA", None),
    ],
)
async def test_edwards_curves_sign_by_either_name(
    curve: str, algorithm: str, named: str | None, issuer: Issuer, tokens: Tokens
):
    # RFC 8037, section 3.1, and RFC 9864, section 2.2.
    key = OKPKey.generate_key(curve, {"kid": "edwards"})
    entry = key.as_dict(private=False) | ({"alg": named} if named else {})
    issuer.extra_entries = [entry]
    for kid in ("edwards", None):
        token = issuer.token(signer=key, header={"alg": algorithm, "kid": kid})
        assert (await tokens.caller(token)).name == "viewer-7"


# --- Microsoft Entra: learn.microsoft.com, "Access token claims reference" ------------------------

# A token that an application got for itself (client credentials), in version 2.0.
ENTRA_APPLICATION = {
    "azp": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
    "azpacr": "1",
    "oid": "a1dbdde8-e4f9-4571-ad93-3059e3750d23",
    "sub": "a1dbdde8-e4f9-4571-ad93-3059e3750d23",
    "rh": "0.AXkA",
    "tid": "aaaabbbb-0000-cccc-1111-dddd2222eeee",
    "uti": "AbCdEf",
    "ver": "2.0",
    "scope": None,
    "roles": ["studies:write", "studies:read"],
}
# In version 1.0 the client stands in `appid`.
ENTRA_VERSION_1 = ENTRA_APPLICATION | {
    "azp": None,
    "azpacr": None,
    "appid": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
    "appidacr": "1",
    "idp": "https://sts.windows.net/aaaabbbb-0000-cccc-1111-dddd2222eeee/",
    "ver": "1.0",
}


@pytest.mark.parametrize(
    "claims",
    [
        ENTRA_APPLICATION,
        ENTRA_VERSION_1,
        ENTRA_APPLICATION | {"idtyp": "app"},
        {"scope": None, "roles": ["studies:write", "studies:read", "Task.Read", 7]},
    ],
)
async def test_an_application_has_the_roles_it_was_granted(
    claims: dict[str, Any], issuer: Issuer, tokens: Tokens
):
    issuer.rotate("RSA")
    caller = await tokens.caller(issuer.token(**claims))
    assert caller.scopes == {Scope.STUDIES_WRITE, Scope.STUDIES_READ}
    assert caller.name == claims.get("sub", "viewer-7")


@pytest.mark.parametrize(
    ("changes", "scopes"),
    [
        ({"scp": "studies:read", "roles": ["operate"]}, {Scope.STUDIES_READ}),
        ({"scp": "", "roles": ["operate"]}, set()),
        ({"idtyp": "user", "roles": ["operate"]}, set()),
        ({"sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ", "roles": ["operate"]}, set()),
        ({"nonce": "678910", "roles": ["operate"]}, set()),
        ({"roles": "studies:read"}, {Scope.STUDIES_READ}),
        ({"roles": None}, set()),
        ({"roles": {"operate": True}}, set()),
    ],
)
async def test_a_users_roles_lend_the_client_nothing(
    changes: dict[str, Any], scopes: set[Scope], issuer: Issuer, tokens: Tokens
):
    token = issuer.token(**ENTRA_APPLICATION | changes)
    assert (await tokens.caller(token)).scopes == scopes


# --- Amazon Cognito: docs.aws.amazon.com, "Understanding the access token" ------------------------

CLIENT = "1example23456789"
# A token that a client got for itself; a user's has `username` and more beside.
COGNITO = {
    "aud": None,
    "sub": CLIENT,
    "token_use": "access",
    "scope": "radstream/studies:write radstream/studies:read",
    "auth_time": 1676312777,
    "version": 2,
    "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "client_id": CLIENT,
}


@pytest.mark.parametrize("audience", [AUDIENCE, None])
async def test_cognitos_access_tokens_are_taken_of_named_clients(
    audience: str | None, issuer: Issuer, session: aiohttp.ClientSession, clock: Clock
):
    tokens = tokens_of(
        issuer,
        session,
        clock,
        audience=audience,
        client_ids=["another", CLIENT],
        scope_prefix="radstream/",
    )
    issuer.rotate("RSA")
    caller = await tokens.caller(issuer.token(**COGNITO))
    assert (caller.name, caller.scopes) == (CLIENT, {Scope.STUDIES_WRITE, Scope.STUDIES_READ})
    user = COGNITO | {
        "sub": "aaaaaaaa-bbbb-cccc-dddd-example",
        "username": "my-test-user",
        "cognito:groups": ["my-test-group"],
        "scope": "aws.cognito.signin.user.admin radstream/studies:read operate",
    }
    assert (await tokens.caller(issuer.token(**user))).scopes == {Scope.STUDIES_READ}


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "3example23456789"},
        {"client_id": None},
        {"client_id": [CLIENT]},
        {"client_id": f"{CLIENT} another"},
        {"token_use": "id"},
        {"token_use": None},
        {"token_use": "id", "aud": CLIENT},  # an ID token
        {"token_use": "id", "aud": AUDIENCE},
        {"aud": "another"},
        {"aud": CLIENT},  # a client's id is no audience
        {"aud": []},
        {"aud": ""},
        {"iss": "https://cognito-idp.us-west-2.amazonaws.com/us-west-2_example"},
        {"sub": None},
    ],
)
async def test_other_tokens_without_an_audience_are_not(
    changes: dict[str, Any], issuer: Issuer, session: aiohttp.ClientSession, clock: Clock
):
    tokens = tokens_of(issuer, session, clock, client_ids=[CLIENT], scope_prefix="radstream/")
    assert await refusal(tokens, issuer.token(**COGNITO | changes)) is Refusal.FOREIGN_TOKEN
    assert await refusal(tokens, issuer.token(**COGNITO | {"exp": 1})) is Refusal.EXPIRED_TOKEN


async def test_without_named_clients_a_token_needs_its_audience(issuer: Issuer, tokens: Tokens):
    assert await refusal(tokens, issuer.token(**COGNITO)) is Refusal.FOREIGN_TOKEN


async def test_without_an_audience_no_token_with_one_is_taken(
    issuer: Issuer, session: aiohttp.ClientSession, clock: Clock
):
    tokens = tokens_of(issuer, session, clock, audience=None, client_ids=[CLIENT])
    for audience in (AUDIENCE, "None", CLIENT):
        token = issuer.token(**COGNITO | {"aud": audience})
        assert await refusal(tokens, token) is Refusal.FOREIGN_TOKEN
