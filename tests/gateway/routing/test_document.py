"""A file that is no routing document says why."""

import json
from pathlib import Path

import pytest

from gateway.routing.document import (
    InvalidRoutingError,
    RoutingFileError,
    parse_routing,
    read_routing,
)

CT = {"name": "ward-3", "ae_title": "CT 3", "addresses": ["10.1.2.0/24"]}


def document(*senders: dict[str, object]) -> str:
    return json.dumps({"schema": "radstream.routing/1", "senders": list(senders)})


def test_a_broken_file_says_why_and_quotes_nothing(tmp_path: Path):
    path = tmp_path / "routing.json"
    with pytest.raises(RoutingFileError, match="No such file"):
        read_routing(path)
    path.write_text(document(CT | {"colour": "Mueller^Hans"}))
    with pytest.raises(RoutingFileError) as caught:
        read_routing(path)
    assert "Mueller" not in str(caught.value)
    path.write_text(document(CT | {"ae_title": ""}))
    with pytest.raises(RoutingFileError, match=r"^/senders/0/ae_title: "):
        read_routing(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('"rules": [{"name": "a"}]', "/rules/0/when"),
        (
            '"rules": [{"name": "a", "when": {"not": {"all": [{"field": "route", "is": "x"}]}}}]',
            "/rules/0/when/not/all/0/is",
        ),
        ('"senders": [{"name": "a"}]', "/senders/0/ae_title"),
        (
            '"destinations": [{"kind": "webhook", "name": "a", "url": 0}]',
            "/destinations/0/url",
        ),
        ('"otherwise": {}, "otherwise": null', "/otherwise"),
        ('"rules": ', ""),
    ],
)
def test_a_fault_is_told_where_it_stands_in_the_text(text: str, place: str):
    with pytest.raises(InvalidRoutingError) as caught:
        parse_routing(f'{{"schema": "radstream.routing/1", {text}}}')
    assert place in [fault.pointer for fault in caught.value.faults]


def test_a_file_without_end_is_not_read_to_it():
    with pytest.raises(RoutingFileError, match="more than"):
        read_routing(Path("/dev/zero"))


def test_a_document_that_names_no_tenant_is_none_where_there_are_tenants(tmp_path: Path):
    path = tmp_path / "routing.json"
    path.write_text(document(CT))
    assert len(read_routing(path).senders) == 1
    with pytest.raises(RoutingFileError, match="/senders/0: names no tenant"):
        read_routing(path, ["north"])
    path.write_text(document(CT | {"tenant": "north"}))
    assert read_routing(path, ["north"]).senders[0].tenant == "north"
