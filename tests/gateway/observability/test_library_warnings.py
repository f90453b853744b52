"""Warnings of libraries are events without the libraries' words."""

from tests.gateway.observability.printed_log import COMPLAINTS, printed


def test_what_libraries_warn_of_on_a_studys_way_is_one_event_without_their_words():
    program = f"{COMPLAINTS}\nwith one_event(), one_event():\n    complain()\ncomplain()"
    together, *alone = printed(program)
    assert (together["event"], together["level"]) == ("library.warnings", "warning")
    assert (together["count"], together["places"]) == (10, ["<string>:10", "<string>:11"])
    assert [event["event"] for event in alone] == ["library.warning"] * 9 + ["library.message"]
    assert {event.get("place") for event in alone} == {"<string>:10", "<string>:11"}


def test_what_a_stored_image_is_warned_of_again_is_not_told_again():
    program = f"{COMPLAINTS}\nfrom gateway.observability.library_warnings import told_before\n"
    assert printed(f"{program}with told_before():\n    complain()") == []


def test_a_study_that_is_accepted_first_and_read_later_has_one_event():
    bound = 'structlog.contextvars.bound_contextvars(request_id="1")'
    program = f"""{COMPLAINTS}
import structlog
for repeated in (False, True):
    with {bound}, one_event(repeated=repeated):
        complain()
"""
    assert [event["event"] for event in printed(program)] == ["library.warnings"]
