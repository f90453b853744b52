"""Ways to destinations, of each as the routing document has it now."""

from gateway.delivery.dicom_store import DicomTransport
from gateway.delivery.fhir_server import FhirServerTransport
from gateway.delivery.mllp import MllpTransport
from gateway.delivery.stow import StowTransport
from gateway.delivery.transports import Transports
from gateway.delivery.webhook import WebhookTransport
from gateway.routing.in_force import Routing
from gateway.settings import DimseSettings
from tests.support.delivery import dicom, routing

ALL = routing(
    dicom("pacs", 1),
    {"name": "vna", "kind": "stow", "url": "https://vna.example.org/"},
    {"name": "record", "kind": "fhir", "url": "https://fhir.example.org/r4"},
    {"name": "ris", "kind": "hl7", "host": "ris.example.org", "port": 2575},
    {"name": "orders", "kind": "webhook", "url": "https://a.example.org/", "secret_file": "/s"},
)


def test_each_kind_has_its_way():
    transports = Transports(Routing(ALL), DimseSettings())
    found = [transports.to(each.name) for each in ALL.destinations]
    kinds = [type(way[1]) for way in found if way is not None]
    assert kinds == [
        DicomTransport,
        StowTransport,
        FhirServerTransport,
        MllpTransport,
        WebhookTransport,
    ]
    transports.close()


def test_a_way_is_kept_until_its_destination_changes():
    followed = Routing(routing(dicom("pacs", 1)))
    transports = Transports(followed, DimseSettings())
    first = transports.to("pacs")
    followed.replace(routing(dicom("pacs", 1), dicom("vna", 3)))
    assert transports.to("pacs") is first
    followed.replace(routing(dicom("pacs", 2)))
    second = transports.to("pacs")
    assert second is not None
    assert second is not first
    assert second[0] == followed.document.destinations[0]
    followed.replace(routing())
    assert transports.to("pacs") is None
