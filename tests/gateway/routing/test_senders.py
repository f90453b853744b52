"""Senders are known by AE title and address together."""

import pytest

from gateway.access.callers import ANONYMOUS, Caller, CallerKind
from gateway.routing.senders import Senders, caller_of
from gateway.schemas.routing import RoutingDocument

CT = {"name": "ward-3", "ae_title": "CT 3", "addresses": ["10.1.2.0/24", "192.0.2.7", "fd00::/8"]}


def document(*senders: dict[str, object]) -> dict[str, object]:
    return {"schema": "radstream.routing/1", "senders": list(senders)}


def senders(*entries: dict[str, object]) -> Senders:
    return Senders(RoutingDocument.model_validate(document(*entries)))


@pytest.mark.parametrize("address", ["10.1.2.9", "192.0.2.7", "::ffff:10.1.2.9", "fd00::1%eth0"])
def test_a_sender_is_known_from_its_addresses(address: str):
    sender = senders(CT).find("CT 3", address)
    assert sender is not None
    caller = caller_of(sender)
    assert (caller.name, caller.kind, caller.label) == ("ward-3", CallerKind.SENDER, "ward-3")


@pytest.mark.parametrize(
    ("title", "address"), [("CT 3", "10.1.3.9"), ("CT 4", "10.1.2.9"), ("ct 3", "10.1.2.9")]
)
def test_another_title_or_address_is_nobody(title: str, address: str):
    assert senders(CT).find(title, address) is None


def test_two_senders_of_one_title_are_told_apart_by_address():
    other = CT | {"name": "ward-4", "addresses": ["10.1.4.0/24"]}
    sender = senders(CT, other).find("CT 3", "10.1.4.1")
    assert sender is not None
    assert sender.name == "ward-4"


KEY = {"name": "hospital-a", "key": "ris"}
TOKEN = {"name": "hospital-b", "token_subject": "client-7"}
FOLDER = {"name": "hospital-c", "prefix": "C-"}


@pytest.mark.parametrize(
    ("caller", "name"),
    [
        (Caller("ris", frozenset(), CallerKind.KEY), "hospital-a"),
        (Caller("pacs", frozenset(), CallerKind.KEY), "pacs"),
        (Caller("client-7", frozenset(), CallerKind.TOKEN), "hospital-b"),
        (Caller("ris", frozenset(), CallerKind.TOKEN), "oidc"),
        (Caller("client-7", frozenset(), CallerKind.KEY), "client-7"),
        (ANONYMOUS, "anonymous"),
    ],
)
def test_keys_and_tokens_have_the_names_that_are_configured(caller: Caller, name: str):
    assert senders(KEY, TOKEN, FOLDER).name_of(caller) == name


def test_of_several_prefixes_that_fit_the_longest_counts():
    found = senders(FOLDER, FOLDER | {"name": "ward", "prefix": "C-WARD"}, CT)
    assert found.name_of_object("C-1/front.png") == "hospital-c"
    assert found.name_of_object("C-WARD-9/front.png") == "ward"
    assert found.name_of_object("D-1/front.png") == "dropfolder"
    assert found.find("CT 3", "10.1.2.9") is not None
    assert found.named("hospital-c") is None  # which is no DICOM sender


def test_a_folder_is_one_however_its_name_is_spelt():
    found = senders({"name": "ward", "prefix": "K"}, {"name": "koeln", "prefix": "K\u00f6ln/"})
    for path in ("K\u00f6ln/1.dcm", "Ko\u0308ln/1.dcm"):
        assert found.name_of_object(path) == "koeln"


def test_tenants_follow_from_keys_and_from_the_longest_folder():
    known = senders(
        {"name": "a", "key": "ris", "tenant": "north"},
        {"name": "a", "prefix": "A", "tenant": "north"},
        {"name": "b", "prefix": "AB", "tenant": "south"},
    )
    assert known.tenant_of(Caller("ris", frozenset(), CallerKind.KEY)) == "north"
    assert known.tenant_of(Caller("ris", frozenset(), CallerKind.TOKEN)) is None
    assert known.tenant_of(ANONYMOUS) is None
    found = [known.tenant_of_object(path) for path in ("A1/x", "AB1/x", "C/x")]
    assert found == ["north", "south", None]
