"""Clocks of peers beside this machine's, by the Date of their answers (RFC 9110, 6.6.1)."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from gateway.doctor.findings import Check, Finding, Outcome, Side

if TYPE_CHECKING:
    from collections.abc import Iterator

# Date tells seconds, and is made before the answer is on its way.
_LARGEST_S = 30.0
_NTP = "have it follow a time server (NTP)"


class Clocks:
    """The clocks that were seen, by peer."""

    def __init__(self) -> None:
        self._ahead_s: dict[str, float] = {}

    def see(self, peer: str, date: str | None, now: dt.datetime) -> None:
        """Note a Date field, if it is one.

        Parameters
        ----------
        now
            This machine's time at which the answer was here.
        """
        try:
            at = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if at.tzinfo is None:
            at = at.replace(tzinfo=dt.UTC)
        self._ahead_s[peer] = (at - now).total_seconds()

    def findings(self) -> Iterator[Finding]:
        """Yield a finding about each clock, or one about this machine's where all peers differ."""
        off = {peer: ahead for peer, ahead in self._ahead_s.items() if abs(ahead) > _LARGEST_S}
        directions = {ahead > 0 for ahead in off.values()}
        if len(off) > 1 and len(off) == len(self._ahead_s) and len(directions) == 1:
            detail = f"its clock differs from those of all peers, by {_told(off)}"
            yield Finding(
                *(Check.CLOCKS, "this machine", Outcome.FAULT, detail),
                side=Side.GATEWAY,
                change=f"the clock of this machine: {_NTP}",
            )
            return
        side = Side.PEER if len(self._ahead_s) > len(off) else Side.EITHER
        for peer, ahead in self._ahead_s.items():
            if peer not in off:
                detail = "its clock and this machine's agree"
                yield Finding(Check.CLOCKS, peer, Outcome.OK, detail)
                continue
            is_ahead = "ahead of" if ahead > 0 else "behind"
            yield Finding(
                *(Check.CLOCKS, peer, Outcome.FAULT),
                f"its clock is {abs(ahead):.0f} s {is_ahead} this machine's",
                side=side,
                change=f"the clock of {peer}: {_NTP}",
            )


def _told(off: dict[str, float]) -> str:
    return ", ".join(f"{ahead:+.0f} s ({peer})" for peer, ahead in off.items())
