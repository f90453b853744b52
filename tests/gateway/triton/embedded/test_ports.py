import socket
from dataclasses import astuple
from pathlib import Path

import pytest

from gateway.triton.embedded.ports import LOOPBACK, choose_ports, claimed


def test_ports_differ_and_can_be_bound():
    ports = astuple(choose_ports())
    assert len(set(ports)) == 3
    for port in ports:
        with socket.socket() as listener:
            listener.bind((LOOPBACK, port))


def test_ports_lie_below_those_the_kernel_gives_away():
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(astuple(choose_ports())) < first_ephemeral


def test_taken_port_is_not_chosen(monkeypatch: pytest.MonkeyPatch):
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        port = taken.getsockname()[1]
        free = choose_ports()
        candidates = [free.grpc, port, free.http, free.metrics]
        monkeypatch.setattr("gateway.triton.embedded.ports._CANDIDATES", candidates)
        assert port not in astuple(choose_ports())


def test_metrics_get_the_port_that_is_wanted_unless_it_is_taken():
    wanted = choose_ports().metrics
    assert choose_ports(metrics=wanted).metrics == wanted
    with socket.socket() as taken:
        taken.bind((LOOPBACK, wanted))
        taken.listen()
        assert choose_ports(metrics=wanted).metrics != wanted


def test_a_port_is_claimed_once_at_a_time():
    port = choose_ports().metrics
    with claimed(port) as first, claimed(port) as second:
        assert (first, second) == (True, False)
    with claimed(port) as again:
        assert again
