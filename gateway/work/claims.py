"""Claims on pieces of work: one gateway at a time is at each.

A claim stands in the work's entry and is made by compare-and-swap, so only one gateway can make it.
It ends with its expiry, and at once where its owner is known to run no longer.

A claim saves doing work twice and nothing else hangs on it: what comes of work joins its study once
by any gateway (see `gateway.results.study_documents`). It is therefore enough that a claim outlives
the deadline of its owner's work by more than the clocks of two gateways differ.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import time
from typing import TYPE_CHECKING

from gateway.work.documents import Claim

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gateway.storage.presence import Presence

# A claim outlives its work's deadline by more than the clocks of two gateways differ.
CLOCK_SKEW_S = 10.0
# Claims of others that are remembered before those that ended are forgotten.
_MOST_MET = 10_000


class Claims:
    """Claims of this gateway, and those of others as it meets them.

    Parameters
    ----------
    lease_s
        Seconds until a claim expires.
    presence
        Tells of owners that run no longer; without it their claims expire.
    """

    def __init__(self, *, lease_s: float, presence: Presence | None = None) -> None:
        self._lease_s = lease_s
        self._presence = presence
        self._name = secrets.token_hex(16) if presence is None else presence.name
        self._met: dict[tuple[Hashable, str], float] = {}

    def new(self) -> Claim:
        """Return a claim of this gateway, unlike every other."""
        expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self._lease_s)
        return Claim(owner=f"{self._name}.{secrets.token_hex(8)}", expires_at=expires_at)

    async def is_over(self, work: Hashable, claim: Claim) -> bool:
        """Return True if the claim is this gateway's, or holds it back no longer.

        The clock of its owner may have been set: it is waited for no longer than a claim
        may last.
        """
        owner = claim.owner.partition(".")[0]
        if owner == self._name:  # by which nothing is at it, or its worker would not ask
            return True
        now = time.monotonic()
        met = self._met.setdefault((work, claim.owner), now)
        if len(self._met) > _MOST_MET:
            self._met = {k: since for k, since in self._met.items() if now - since < self._lease_s}
        if claim.expires_at <= dt.datetime.now(dt.UTC) or now - met >= self._lease_s:
            return True
        return (
            self._presence is not None
            and owner.isalnum()
            and await asyncio.to_thread(self._presence.has_ended, owner)
        )
