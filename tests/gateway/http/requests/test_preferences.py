"""Options of a request: an asynchronous answer, a deadline, a share."""

import pytest
from fastapi import Request
from starlette.datastructures import Headers

from gateway.access.callers import ANONYMOUS, Caller, CallerKind
from gateway.errors import InvalidQueryError
from gateway.http.requests.preferences import deadline_of, share_of, wants_async


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "headers": raw, "client": ("192.0.2.7", 1234)})


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        (["respond-async"], True),
        (["Respond-Async; wait=5"], True),
        (["return=minimal, respond-async"], True),
        (["return=minimal", "respond-async"], True),
        (["return=respond-async"], False),
        (["respond-asynchronously"], False),
        ([], False),
    ],
)
def test_an_asynchronous_answer_is_a_preference_among_others(sent: list[str], wanted: bool):
    headers = Headers(raw=[(b"prefer", text.encode()) for text in sent])
    assert wants_async(headers) is wanted


@pytest.mark.parametrize("asked", ["0", "-1", "1.5", "abc", "", "1234567", "1 "])
def test_a_deadline_is_a_whole_number_of_seconds(asked: str):
    with pytest.raises(InvalidQueryError):
        deadline_of(request(request_timeout=asked), 60)


@pytest.mark.parametrize(("asked", "most_s"), [("5", 5), ("007", 7), ("3600", 60), (None, 60)])
def test_a_caller_may_ask_for_less_time_and_gets_no_more(asked: str | None, most_s: float):
    headers = {} if asked is None else {"request_timeout": asked}
    assert 0 < deadline_of(request(**headers), 60).remaining_s() <= most_s


def test_a_share_is_the_callers_or_else_the_addresses():
    assert share_of(ANONYMOUS, request()) == "address 192.0.2.7"
    key = Caller("ris", frozenset(), CallerKind.KEY)
    token = Caller("ris", frozenset(), CallerKind.TOKEN)
    shares = {share_of(caller, request()) for caller in (ANONYMOUS, key, token)}
    assert len(shares) == 3
