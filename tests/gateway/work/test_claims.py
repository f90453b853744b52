"""Claims: whose they are, and when they are over."""

import datetime as dt

import pytest

from gateway.work.claims import Claims
from gateway.work.documents import Claim
from gateway.work.keys import WorkId

WORK = WorkId.new("S1", dt.datetime(2026, 1, 31, tzinfo=dt.UTC))


class Running:
    """Gateways of which one has ended."""

    name = "me"

    def has_ended(self, name: str) -> bool:
        return name == "ended"


def claim(owner: str, *, in_s: float = 600) -> Claim:
    expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=in_s)
    return Claim(owner=f"{owner}.token", expires_at=expires_at)


@pytest.mark.parametrize(
    ("owner", "in_s", "over"),
    [
        ("me", 60.0, True),
        ("other", 60.0, False),
        ("other", -1.0, True),
        ("ended", 60.0, True),
        ("../ended", 60.0, False),  # no name of a gateway
    ],
)
async def test_a_claim_is_over_with_its_time_or_its_owner(owner: str, in_s: float, *, over: bool):
    held = claim(owner, in_s=in_s)
    assert await Claims(lease_s=60, presence=Running()).is_over(WORK, held) is over


async def test_a_claim_of_a_clock_that_was_ahead_is_over_after_a_lease():
    claims = Claims(lease_s=0.0, presence=Running())
    assert await claims.is_over(WORK, claim("other", in_s=1e6))


def test_no_two_claims_are_alike():
    claims = Claims(lease_s=60)
    assert claims.new().owner != claims.new().owner
    assert claims.new().owner.partition(".")[0] != Claims(lease_s=60).new().owner.partition(".")[0]
