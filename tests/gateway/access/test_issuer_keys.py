"""An issuer's keys are kept, and fetched anew for a token that none of them signed."""

from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from gateway.access.tokens import Tokens
from gateway.errors import IssuerUnavailableError, Refusal
from tests.gateway.access.issuers import Clock, refusal
from tests.support.access import Issuer


async def test_a_known_key_asks_the_issuer_nothing(issuer: Issuer, tokens: Tokens):
    await tokens.caller(issuer.token())
    asked = len(issuer.asked)
    for _ in range(20):
        await tokens.caller(issuer.token())
    assert len(issuer.asked) == asked


async def test_a_new_key_is_fetched_when_a_token_names_it(
    issuer: Issuer, tokens: Tokens, clock: Clock
):
    await tokens.caller(issuer.token())
    issuer.rotate("RSA")
    clock.now += 10
    await tokens.caller(issuer.token())
    await tokens.caller(issuer.token(signer=issuer.keys[0]))  # the old one is still published
    withdrawn = issuer.keys.pop(0)
    issuer.rotate()
    clock.now += 10
    await tokens.caller(issuer.token())
    assert await refusal(tokens, issuer.token(signer=withdrawn)) is Refusal.BAD_TOKEN


async def test_made_up_key_ids_do_not_make_the_issuer_busy(
    issuer: Issuer, tokens: Tokens, clock: Clock
):
    for _ in range(20):
        token = issuer.token(header={"kid": "made-up"})
        assert await refusal(tokens, token) is Refusal.BAD_TOKEN
    assert len(issuer.asked) == 2
    clock.now += 10
    await refusal(tokens, issuer.token(header={"kid": "made-up"}))
    assert len(issuer.asked) == 4


async def test_while_the_issuer_is_away_known_keys_go_on_working(
    issuer: Issuer, tokens: Tokens, clock: Clock
):
    await tokens.caller(issuer.token())
    issuer.is_away = True
    clock.now += 10
    issuer.rotate()
    for _ in range(2):
        with pytest.raises(IssuerUnavailableError):
            await tokens.caller(issuer.token())
        assert (await tokens.caller(issuer.token(signer=issuer.keys[0]))).name == "viewer-7"
    issuer.is_away = False
    clock.now += 10
    await tokens.caller(issuer.token())


async def test_an_issuer_that_was_never_there_is_told_apart_from_a_bad_token(
    issuer: Issuer, tokens: Tokens
):
    issuer.is_away = True
    with pytest.raises(IssuerUnavailableError):
        await tokens.caller(issuer.token())


async def test_keys_that_may_not_sign_are_passed_over(issuer: Issuer, tokens: Tokens):
    with pytest.warns(SecurityWarning):
        weak = RSAKey.generate_key(1024, {"kid": "weak"})
    secret = OctKey.generate_key(256, {"kid": "secret"})
    sealing = ECKey.generate_key("P-256", {"kid": "sealing"})
    issuer.extra_entries = [
        weak.as_dict(private=False),
        secret.as_dict(),
        sealing.as_dict(private=False) | {"use": "enc"},
        {"kty": "post-quantum", "kid": "new"},
        {"kty": "RSA", "kid": "half"},
        {"kty": "EC", "crv": "P-1024", "x": "AA", "y": "AA", "kid": "curve"},
        7,
        {"kid": "bare"},
    ]
    await tokens.caller(issuer.token())
    for key in (weak, secret, sealing):
        assert await refusal(tokens, issuer.token(signer=key)) is Refusal.BAD_TOKEN


def without_id(key: ECKey) -> dict[str, Any]:
    """How a key set tells of the key."""
    entry = dict(key.as_dict(private=False))
    entry.pop("kid", None)
    return entry


async def test_a_token_without_a_key_id_is_tried_with_every_fitting_key(
    issuer: Issuer, tokens: Tokens
):
    for kind in ("RSA", "RSA", "EC", "Ed25519", "EC"):
        issuer.rotate(kind)
    nameless = ECKey.generate_key("P-256")
    issuer.extra_entries = [
        without_id(nameless),
        without_id(ECKey.generate_key("P-256")),
    ]
    for key in (*issuer.keys, nameless):
        token = issuer.token(signer=key, header={"kid": None})
        assert (await tokens.caller(token)).name == "viewer-7"
    assert issuer.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_a_key_without_an_id_is_not_that_of_a_token_with_one(issuer: Issuer, tokens: Tokens):
    nameless = ECKey.generate_key("P-256")
    issuer.extra_entries = [without_id(nameless)]
    token = issuer.token(signer=nameless, header={"kid": "made-up"})
    assert await refusal(tokens, token) is Refusal.BAD_TOKEN


async def test_a_token_without_a_key_id_finds_a_new_key_and_costs_the_issuer_no_more(
    issuer: Issuer, tokens: Tokens, clock: Clock
):
    await tokens.caller(issuer.token())
    issuer.rotate()
    clock.now += 10
    await tokens.caller(issuer.token(header={"kid": None}))
    asked = len(issuer.asked)
    stranger = ECKey.generate_key("P-256")
    for _ in range(20):
        token = issuer.token(signer=stranger, header={"kid": None})
        assert await refusal(tokens, token) is Refusal.BAD_TOKEN
    assert len(issuer.asked) == asked
    issuer.is_away = True
    clock.now += 10
    with pytest.raises(IssuerUnavailableError):
        await tokens.caller(issuer.token(signer=stranger, header={"kid": None}))


async def test_a_token_without_a_key_id_is_tried_with_thirty_two_keys(
    issuer: Issuer, tokens: Tokens
):
    for _ in range(32):
        issuer.rotate()
    thirty_second, last = issuer.keys[31], issuer.keys[32]
    await tokens.caller(issuer.token(signer=thirty_second, header={"kid": None}))
    await tokens.caller(issuer.token(signer=last))  # by its id it is found wherever it stands
    token = issuer.token(signer=last, header={"kid": None})
    assert await refusal(tokens, token) is Refusal.BAD_TOKEN


@pytest.mark.parametrize(
    "entry",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": "verify"},
        {"alg": "ES384"},
        {"alg": "ECDH-ES"},
        {"alg": ["ES256"]},
    ],
)
async def test_a_token_without_a_key_id_is_not_tried_with_a_key_of_another_use(
    entry: dict[str, Any], issuer: Issuer, tokens: Tokens
):
    sealing = ECKey.generate_key("P-256", {"kid": "sealing"})
    issuer.extra_entries = [sealing.as_dict(private=False) | entry]
    for kid in ("sealing", None):
        token = issuer.token(signer=sealing, header={"kid": kid})
        assert await refusal(tokens, token) is Refusal.BAD_TOKEN


async def test_a_key_to_agree_on_secrets_signs_nothing(issuer: Issuer, tokens: Tokens):
    signing = OKPKey.generate_key("Ed25519", {"kid": "agreeing"})
    agreeing = OKPKey.generate_key("X25519", {"kid": "agreeing"})
    issuer.extra_entries = [agreeing.as_dict(private=False)]
    for kid in ("agreeing", None):
        token = issuer.token(signer=signing, header={"kid": kid})
        assert await refusal(tokens, token) is Refusal.BAD_TOKEN
