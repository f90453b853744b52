"""Destinations of the routing document, each kind with its own parts."""

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.schemas.routing import RoutingDocument

PACS: dict[str, Any] = {
    "name": "pacs",
    "kind": "dicom",
    "ae_title": "PACS",
    "host": "pacs.example.org",
    "port": 104,
}
VNA: dict[str, Any] = {"name": "vna", "kind": "stow", "url": "https://vna.example.org/dicom-web"}

CREDENTIALS = {
    "token_url": "https://auth.example.org/token",
    "client_id": "radstream",
    "secret_file": "/etc/radstream/record/secret",
}
RECORD: dict[str, Any] = {
    "name": "record",
    "kind": "fhir",
    "url": "https://fhir.example.org/r4",
    "client_credentials": CREDENTIALS,
    "patient_system": "urn:oid:1.2.8",
}
RIS: dict[str, Any] = {"name": "ris", "kind": "hl7", "host": "ris.example.org", "port": 2575}


def destinations(*found: dict[str, Any]) -> RoutingDocument:
    return RoutingDocument.model_validate(
        {"schema": "radstream.routing/1", "destinations": list(found)}
    )


def test_archives_take_reports_heat_maps_and_notes_unless_they_say_otherwise():
    document = destinations(PACS, VNA | {"renderings": ["structured-report"]})
    assert [[str(kind) for kind in each.renderings] for each in document.destinations] == [
        ["structured-report", "secondary-capture", "rejection-note"],
        ["structured-report"],
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "fax"}, "kind"),
        ({"name": "Main PACS"}, "name"),
        ({"name": "a" * 41}, "name"),
        ({"ae_title": "CÄ"}, "ae_title"),
        ({"port": 0}, "port"),
        ({"renderings": []}, "renderings"),
        ({"renderings": ["oru"]}, "renderings"),
        ({"tls": {"certificate": "a.pem"}}, "go together"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_every_part_of_an_archive_is_checked(change: dict[str, Any], told: str):
    with pytest.raises(ValidationError, match=told):
        destinations(PACS | change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"url": "https://user:secret@vna.example.org/"}, "url"),
        ({"url": "https://vna.example.org/?a=b"}, "url"),
        ({"url": "ftp://vna.example.org/"}, "url"),
        ({"url": "http://vna.example.org/", "bearer_file": "/token"}, "https"),
        ({"url": "http://vna.example.org/", "tls": {}}, "https"),
        ({"bearer": "token"}, "bearer"),
        (
            {"bearer_file": "/token", "basic": {"user": "rad", "password_file": "/password"}},
            "not both",
        ),
    ],
)
def test_secrets_of_a_web_archive_lie_in_files_and_go_over_tls(change: dict[str, Any], told: str):
    with pytest.raises(ValidationError, match=told):
        destinations(VNA | change)


def test_a_fhir_server_and_a_receiver_of_hl7_take_their_own_forms():
    document = destinations(RECORD, RIS)
    assert [[str(kind) for kind in each.renderings] for each in document.destinations] == [
        ["fhir"],
        ["oru"],
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"url": "http://fhir.example.org/"}, "https"),
        ({"client_credentials": CREDENTIALS | {"secret": "s3cr3t"}}, "client_credentials"),
        ({"client_credentials": CREDENTIALS | {"token_url": "http://a/token"}}, "token_url"),
        ({"client_credentials": CREDENTIALS | {"private_key_file": "/key"}}, "or a private_key"),
        ({"client_credentials": CREDENTIALS | {"key_id": "k1"}}, "goes with"),
        ({"release": "STU3"}, "release"),
        ({"patient_system": "MPI"}, "patient_system"),
        ({"renderings": ["oru"]}, "renderings"),
    ],
)
def test_secrets_of_a_fhir_server_lie_in_files_and_go_over_tls(change: dict[str, Any], told: str):
    with pytest.raises(ValidationError, match=told):
        destinations(RECORD | change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"port": 0}, "port"),
        ({"message": {"charset": "BIG-5"}}, "charset"),
        ({"message": {"observations": []}}, "observations"),
        ({"message": {"sending_facility": {"universal_id": "1.2"}}}, "belong together"),
        ({"renderings": ["structured-report"]}, "renderings"),
    ],
)
def test_every_part_of_a_receiver_of_hl7_is_checked(change: dict[str, Any], told: str):
    with pytest.raises(ValidationError, match=told):
        destinations(RIS | change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"url": "http://orders.example.org/"}, "url"),
        ({"url": "https://user:pw@orders.example.org/"}, "url"),
        ({"secret_file": None}, "secret_file"),
        ({"secret": "s3cr3t"}, "secret"),
        ({"renderings": ["oru"]}, "renderings"),
    ],
)
def test_a_webhook_has_a_secret_and_is_told_over_tls(change: dict[str, Any], told: str):
    orders = {"name": "orders", "kind": "webhook", "url": "https://orders.example.org/?site=1"}
    named = orders | {"secret_file": "/run/secret"}
    assert destinations(named).destinations[0].renderings == ("notice",)
    with pytest.raises(ValidationError, match=told):
        destinations(named | change)
