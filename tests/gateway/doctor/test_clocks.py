"""Clocks: which of them is wrong."""

import datetime as dt
from email.utils import format_datetime

from gateway.doctor.clocks import Clocks
from gateway.doctor.findings import Outcome, Side

NOW = dt.datetime(2026, 1, 31, 8, 15, tzinfo=dt.UTC)


def clocks(**ahead_s: float) -> Clocks:
    seen = Clocks()
    for peer, seconds in ahead_s.items():
        date = format_datetime(NOW + dt.timedelta(seconds=seconds), usegmt=True)
        seen.see(peer, date, NOW)
    return seen


def test_clocks_that_agree():
    assert [each.outcome for each in clocks(a=0, b=20).findings()] == [Outcome.OK] * 2


def test_one_of_two_peers_is_wrong():
    right, wrong = clocks(a=1, b=-400).findings()
    assert right.outcome is Outcome.OK
    assert (wrong.target, wrong.side) == ("b", Side.PEER)
    assert wrong.detail == "its clock is 400 s behind this machine's"


def test_this_machine_is_wrong_where_all_peers_say_so():
    [found] = clocks(a=500, b=501).findings()
    assert (found.target, found.side) == ("this machine", Side.GATEWAY)


def test_of_two_clocks_either_may_be_wrong():
    [found] = clocks(a=500).findings()
    assert found.side is Side.EITHER


def test_what_is_no_date_is_passed_over():
    seen = Clocks()
    seen.see("a", None, NOW)
    seen.see("b", "yesterday", NOW)
    assert [*seen.findings()] == []
