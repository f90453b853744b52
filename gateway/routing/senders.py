"""Senders over DICOM: known by calling AE title and address, from the routing document."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from gateway.access.callers import Caller, CallerKind, Scope

if TYPE_CHECKING:
    from gateway.schemas.routing import RoutingDocument, Sender


class Senders:
    """The senders of a routing document.

    Parameters
    ----------
    document
        The document; of two senders that fit, the first counts.
    """

    def __init__(self, document: RoutingDocument) -> None:
        self._by_title: dict[str, list[Sender]] = {}
        for sender in document.senders:
            self._by_title.setdefault(sender.ae_title, []).append(sender)
        self._by_name = {sender.name: sender for sender in document.senders}

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, ae_title: str, address: str) -> Sender | None:
        """Return the sender of this AE title and address; None if there is none.

        Parameters
        ----------
        ae_title
            Calling AE title, without the blanks around it.
        address
            Of the peer; an IPv4 address may come in its IPv6 form.
        """
        peer = ip_address(address.partition("%")[0])  # a link-local address names its interface
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        for sender in self._by_title.get(ae_title, ()):
            if any(peer in network for network in sender.addresses):
                return sender
        return None

    def named(self, name: str) -> Sender | None:
        """Return the sender of this name; None if there is none."""
        return self._by_name.get(name)


def caller_of(sender: Sender) -> Caller:
    """Return the sender as a caller."""
    correcting = {Scope.STUDIES_CORRECT} if sender.corrects_identity else set()
    return Caller(sender.name, frozenset({Scope.STUDIES_WRITE} | correcting), CallerKind.SENDER)
