"""What would keep the gateway from starting is told before anything is started."""

import json
import socket
from pathlib import Path

import pytest

from gateway.app.errors import AddressUnavailableError, StartError
from gateway.app.start_checks import bound_sockets, check_address, check_routing
from gateway.settings import HttpSettings, RoutingSettings, Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_an_address_that_is_free_is_no_fault(host: str):
    check_address(HttpSettings(host=host, port=0))


def test_an_address_where_another_program_listens_is_told():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressUnavailableError, match=f"port {port}: another program listens"):
            check_address(HttpSettings(port=port))


def test_an_address_that_this_machine_lacks_is_told():
    with pytest.raises(AddressUnavailableError, match="Cannot assign requested address"):
        check_address(HttpSettings(host="192.0.2.1", port=0))


def test_a_name_with_the_same_address_twice_is_no_fault(monkeypatch: pytest.MonkeyPatch):
    found = socket.getaddrinfo("127.0.0.1", 0, type=socket.SOCK_STREAM)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found * 2)
    [only] = bound_sockets(HttpSettings(port=0))
    only.close()


def test_a_routing_document_with_a_fault_is_told(tmp_path: Path):
    file = tmp_path / "routing.json"
    settings = Settings(routing=RoutingSettings(file=file))
    file.write_text(json.dumps({"schema": "radstream.routing/1"}))
    check_routing(settings)
    file.write_text("{")
    with pytest.raises(StartError, match=str(file)):
        check_routing(settings)
    check_routing(Settings())
