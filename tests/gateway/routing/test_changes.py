"""Changes of a routing document, by name of what changed."""

from typing import Any

from gateway.routing.changes import changes
from gateway.schemas.routing import RoutingDocument

CT: dict[str, Any] = {"name": "ct", "ae_title": "CT3", "addresses": ["10.1.2.0/24"]}
DX: dict[str, Any] = CT | {"name": "dx", "ae_title": "DX1"}


def between(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    documents = (
        RoutingDocument.model_validate({"schema": "radstream.routing/1", "senders": senders})
        for senders in (old, new)
    )
    return [(each.pointer, each.before, each.after) for each in changes(*documents)]


def test_what_did_not_change_is_not_listed():
    assert between([CT, DX], [CT, DX]) == []


def test_a_change_is_listed_under_the_name_of_its_entry():
    other = DX | {"ae_title": "DX2"}
    assert between([CT, DX], [CT, other]) == [("/senders/dx/ae_title", '"DX1"', '"DX2"')]


def test_an_entry_that_comes_or_goes_is_listed_whole():
    [(pointer, before, after)] = between([CT], [CT, DX])
    assert (pointer, before) == ("/senders/dx", None)
    assert '"ae_title": "DX1"' in after
    [(pointer, _, after)] = between([CT, DX], [DX])
    assert (pointer, after) == ("/senders/ct", None)


def test_another_order_is_a_change():
    assert between([CT, DX], [DX, CT]) == [("/senders", '["ct", "dx"]', '["dx", "ct"]')]


def test_very_many_changes_are_bounded():
    many = [CT | {"name": f"ct-{number}"} for number in range(300)]
    found = between([], many)
    assert len(found) == 101
    assert found[-1][2] == "200 more changes"


def test_long_values_are_cut():
    long = CT | {"addresses": [f"10.1.{number}.0/24" for number in range(200)]}
    [(_, _, after)] = between([CT], [long])
    assert len(after) == 501
